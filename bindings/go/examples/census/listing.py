# sources(folder) lists the files, sorted by path, and the order in which to analyse them: the largest first, so that
# no goroutine is left alone with a big one at the end. It reads each file once, for its size and so that both runs find
# it in the page cache. Paths are bytes, because a file name need not be valid text.
import os
SKIPPED = b'site-packages', b'__pycache__'

def printable(path):
    text = path.decode('utf-8', 'backslashreplace')
    return text if text.isprintable() else ascii(text)[1:-1]

def size(path):
    try:
        with open(path, 'rb') as stream:
            return len(stream.read())
    except OSError:
        return 0

def sources(folder):
    folder = folder or os.fsencode(os.path.dirname(os.__file__))
    paths = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        paths += [os.path.join(parent, name) for name in names if name.endswith(b'.py')]
    files = [{'path': path, 'name': printable(os.path.relpath(path, folder)), 'size': size(path)}
             for path in sorted(filter(os.path.isfile, paths))]
    return {'folder': printable(folder), 'files': files, 'size': sum(file['size'] for file in files),
            'order': sorted(range(len(files)), key=lambda index: -files[index]['size']),
            'cores': min(os.process_cpu_count() or 1, 256)}
