"""Which file system a path is on, from the kernel's list of mounts."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

NETWORK = frozenset(
    {
        *("nfs", "nfs4", "lustre", "gpfs", "beegfs", "beegfs_nodev", "fhgfs", "ceph", "cifs", "smb3", "smbfs", "afs"),
        *("panfs", "pvfs2", "orangefs", "wekafs", "glusterfs", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.sshfs"),
        *("fuse.juicefs", "fuse.mfs", "fuse.moosefs", "fuse.beegfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"),
    }
)
"""Types of file systems that several machines share."""


def file_system(path: Path) -> str:
    """Type of the file system of a path, or of its nearest existing parent; "" where the kernel has no such list.

    A mount counts where it is, not where a symbolic link to it is.
    """
    place = path.expanduser().resolve()
    best, kind = -1, ""
    for point, found in _mounts():
        if (place == point or point in place.parents) and len(
            point.parts
        ) >= best:  # a later mount hides an earlier one
            best, kind = len(point.parts), found
    return kind


def network_file_system(path: Path) -> str:
    """Its type if several machines may share it, else ""."""
    kind = file_system(path)
    return kind if kind in NETWORK else ""


def _mounts() -> list[tuple[Path, str]]:
    """Mount points with the types of their file systems, in order of mounting."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:  # no Linux
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])
        found.append((Path(point), after.split()[0]))
    return found
