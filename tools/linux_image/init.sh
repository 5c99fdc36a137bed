#!/bin/busybox sh
# Made by tools/guest_linux.py: mounts, loads modules for the virtio devices there are, runs a command or a shell.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /mnt
/bin/busybox --install -s /usr/local/bin
export PATH=/usr/sbin:/usr/bin:/usr/local/bin HOME=/root TERM=${TERM:-linux} LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
hostname dbtlab
ip link set lo up
load() { for m in $(cat /lib/dbtlab/$1.list 2>/dev/null); do insmod $m 2>/dev/null; done; }
load virtio_mmio
for d in /sys/bus/virtio/devices/*/device; do
    case $(cat $d 2>/dev/null) in
    0x0001) load virtio_net ;;
    0x0002) load virtio_blk; load ext4 ;;
    0x0003) load virtio_console ;;
    0x0004) load virtio-rng ;;
    esac
done
cmd=
for w in $(cat /proc/cmdline); do
    [ "$w" = dbtlab.sd ] && { load armmmci; load ext4; }
    case $w in dbtlab.run=*) cmd=$(echo "${w#dbtlab.run=}" | base64 -d) ;; esac
done
SHELL=/bin/sh
[ -x /usr/bin/dash ] && SHELL=/usr/bin/dash
export SHELL
cd /root
if [ -n "$cmd" ]; then
    stty -F /dev/ttyAMA0 -onlcr -echo
    setsid cttyhack $SHELL -c "$cmd"
    code=$?
else
    [ -x /usr/bin/bash ] && SHELL=/usr/bin/bash
    echo "dbtlab: $(uname -sr) on $(nproc) CPUs; exit or Ctrl-D powers off"
    setsid cttyhack $SHELL -i
    code=$?
fi
sync
echo 0 >/proc/sys/kernel/printk
stty -F /dev/ttyAMA0 onlcr
echo "exit $code" >/dev/ttyAMA1
stty -F /dev/ttyAMA1 onlcr
poweroff -f
