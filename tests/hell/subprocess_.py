# Starts programs, one of which is killed, one not waited for.
import subprocess

subprocess.run(["/bin/true"], check=True)
subprocess.Popen(["/bin/sleep", "100"]).kill()
subprocess.Popen(["/bin/true"])
