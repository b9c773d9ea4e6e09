"""How a change of the user's files is noticed."""

import os

#: File -> modification time (ns) and size.
FileStamps = dict[str, tuple[int, int]]


def stamp_files(files: list[str]) -> FileStamps:
    """Modification time and size of each file; (0, -1) for one that is not there."""
    stamps = {}
    for file in files:
        try:
            found = os.stat(file)
            stamps[file] = (found.st_mtime_ns, found.st_size)
        except OSError:
            stamps[file] = (0, -1)
    return stamps
