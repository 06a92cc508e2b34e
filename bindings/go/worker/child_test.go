package worker_test

// beWorker is a worker in a process of its own, which a test may kill.
func beWorker() (code int, child bool) {
	return 0, false
}
