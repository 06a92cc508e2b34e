# Turns perf's trampolines on.
import sys

sys.activate_stack_trampoline("perf")
for n in range(500):
    exec(f"def f{n}(n): return n and f{n}(n - 1)\nf{n}(5)")
sys.deactivate_stack_trampoline()
