# Has no more files be opened (`resource.setrlimit`).
import resource

resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
