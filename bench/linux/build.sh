#!/bin/sh
# build.sh — builds the programs that the Linux measurements compile themselves: static, by system calls alone.
#
#   build.sh OUTDIR       changed ones only
#
# The bare-metal tool chain does: softfp passes doubles in core registers between functions, as its libraries do, and
# computes with VFP inside them. Contraction (fused multiply-add) is off so that results are the same on any machine.
set -eu
here=$(dirname "$0")
guest=$here/../guest
CC=${GUEST_CC:-arm-none-eabi-gcc}
CFLAGS="-marm -mcpu=cortex-a15 -mfloat-abi=softfp -mfpu=neon-vfpv4 -O2 -ffp-contract=off -fno-math-errno -std=gnu11
 -ffreestanding -fno-tree-loop-distribute-patterns -fno-common -fno-strict-aliasing -fno-asynchronous-unwind-tables
 -Wall -Wextra -Werror -Wno-format"
LDFLAGS="-nostdlib -static -Wl,--build-id=none -Wl,-Ttext-segment=0x10000 -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments"
[ $# = 1 ] || { echo "usage: build.sh OUTDIR" >&2; exit 2; }
mkdir -p "$1"
for source in "$here/timed.c" "$here/matmul.c" "$here/nbody.c" "$guest/intmix_dhry.c" "$guest/intmix_core.c"; do
    out=$1/$(basename "$source" .c)
    if [ -f "$out" ] && [ -z "$(find "$source" "$here"/*.[ch] "$guest/rt" "$here/build.sh" -newer "$out")" ]; then
        continue
    fi
    # shellcheck disable=SC2086
    "$CC" $CFLAGS $LDFLAGS -I"$here" -I"$guest/rt" -o "$out.new" "$here/rt_linux.c" "$guest/rt/text.c" "$source" -lgcc
    mv "$out.new" "$out"
done
