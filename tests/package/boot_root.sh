#!/bin/sh
# boot_root.sh LOWER UPPER COMMAND...: COMMAND as process 1 of a throw-away machine: namespaces of its own, whose
# root is the folder LOWER, with a layer of memory above it (mounted at UPPER, an empty folder), so that nothing of
# LOWER changes. Started by unshare(1); lib/root.js does.
set -eu
lower=$1 upper=$2
shift 2
mount --make-rprivate /
mount -t tmpfs tmpfs "$upper"
mkdir "$upper/changes" "$upper/work" "$upper/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper/changes,workdir=$upper/work" "$upper/root"
cd "$upper/root"
mkdir -p proc sys dev run tmp .before
for folder in run tmp dev; do
    mount -t tmpfs tmpfs $folder -o mode=755
done
chmod 1777 tmp
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
pivot_root . .before
cd /
umount -l /.before
# A container's image may forbid packages to start services.
rm -f /usr/sbin/policy-rc.d
# To index all manual pages anew at each change takes minutes.
rm -f /var/lib/man-db/auto-update
exec env -i container=weir-test PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
