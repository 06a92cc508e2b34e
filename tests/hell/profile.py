# Profiles with a function that raises.
import sys, threading


def profile(*_):
    raise RuntimeError("profiled")


threading.setprofile_all_threads(profile)
sys.setprofile(profile)
len("")
