# Deletes the host's module and function, keeps what they were, and gives them other classes and names.
import host, sys

kept = host.note
kept()
del host.note, sys.modules["host"]
for change in ("__class__", "__name__", "__module__", "__self__", "__dict__"):
    try:
        setattr(kept, change, object)
    except (TypeError, AttributeError):
        pass
kept()
