package worker

import "time"

// SetWall has a worker take another clock for the wall clock.
func (o *Options) SetWall(wall func() time.Time) { o.wall = wall }
