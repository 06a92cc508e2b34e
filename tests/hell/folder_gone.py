# Has the current folder be one that is gone.
import os, tempfile

folder = tempfile.mkdtemp()
os.chdir(folder)
os.rmdir(folder)
