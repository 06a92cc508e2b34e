# Closes `sys.stdout` and `sys.stderr`, and takes them apart.
import sys

sys.stdout.close()
sys.stderr.detach()
print("lost")
