# Lies about everything in `sys`: version, flags, implementation, platform, paths.
import sys

sys.flags = sys.implementation = sys.version_info = sys.float_info = sys.hash_info = None
sys.hexversion = sys.maxsize = sys.api_version = 0
sys.platform = sys.executable = sys.prefix = sys.exec_prefix = sys.base_prefix = 42
sys.byteorder = "middle"
sys.getrecursionlimit = sys._getframe = sys.exc_info = sys.exception = sys.exit = sys.getsizeof = None
sys.path = sys.meta_path = sys.path_hooks = sys.path_importer_cache = None
