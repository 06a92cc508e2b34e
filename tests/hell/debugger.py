# Calls `breakpoint()`, when nobody types.
breakpoint()
pass
