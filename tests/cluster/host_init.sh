#!/bin/bash
# First process of a host: its root file system (an overlay over this machine's, on a disk of its own), then sshd.
# Runs in fresh mount, PID, UTS and IPC namespaces. Arguments: name, folder of the hosts, host's disk image, and folders
# that are mounted read-only at the same place.
set -eu
name=$1 hosts=$2 image=$3; shift 3
own=$hosts/$name; root=$own/root
mkdir -p "$own"
mount -o loop,noatime "$image" "$own"
mkdir -p "$own"/{upper,work,root,tmp}; chmod 1777 "$own/tmp"
mount -t overlay overlay -o lowerdir="$hosts/base/upper:/",upperdir="$own/upper",workdir="$own/work" "$root"
mount --bind "$own/tmp" "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o size=2G tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t sysfs sysfs "$root/sys"
if [ -d /sys/fs/cgroup ]; then mount -t cgroup2 none "$root/sys/fs/cgroup" 2> /dev/null || true; fi
mount -t tmpfs tmpfs "$root/run"; mkdir -p "$root/run/sshd" "$root/run/lock"
mount -t proc proc "$root/proc"
mkdir -p "$root/mnt/shared"; mount --bind "$hosts/shared" "$root/mnt/shared"
for folder in "$@"; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
    mount -o remount,bind,ro "$root$folder"
    up=$(dirname "$folder")
    while [ "$up" != / ]; do chmod o+x "$root$up"; up=$(dirname "$up"); done  # in the overlay, not on this machine
done
echo "$name" > "$root/etc/hostname"; hostname "$name"
echo "127.0.0.1 localhost $name" > "$root/etc/hosts"
cd "$root"
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" \
    /bin/bash -c '/usr/sbin/sshd -D -e & while :; do wait; sleep 3600 & wait $!; done'
