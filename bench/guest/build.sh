#!/bin/sh
# build.sh — builds the guest programs; the one place that knows their compiler flags.
#
#   build.sh OUTDIR [GUEST...]            all guests (or those named) in both instruction sets, changed ones only
#   build.sh --one GUEST a32|t32 OUTFILE  one program (what the Bazel rule calls)
#
# A guest is one GUEST.c beside this script, with an optional GUEST.S; the runtime is in rt/.
set -eu
here=$(dirname "$0")
CC=${GUEST_CC:-arm-none-eabi-gcc}
# No VFP or NEON but in the guests that are about them (floats below). No unaligned accesses by the compiler's choice: mmu=0 makes memory strongly-ordered.
# -Wno-format: uint32_t is unsigned long in this tool chain, and is printed by %u.
CFLAGS="-mcpu=cortex-a15 -mfloat-abi=soft -mgeneral-regs-only -mno-unaligned-access -masm-syntax-unified -O2 -std=gnu11
 -ffreestanding -fno-tree-loop-distribute-patterns -fno-common -fno-strict-aliasing -fno-asynchronous-unwind-tables
 -Wall -Wextra -Werror -Wno-format"
LDFLAGS="-nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments"

one()
{
    guest=$1 isa=$2 out=$3
    case $isa in
    a32) mode=-marm ;;
    t32) mode=-mthumb ;;
    *) echo "build.sh: instruction set must be a32 or t32, not $isa" >&2; exit 2 ;;
    esac
    [ -f "$here/$guest.c" ] || { echo "build.sh: no guest $guest" >&2; exit 2; }
    extra=
    [ -f "$here/$guest.S" ] && extra=$here/$guest.S
    flags=$CFLAGS
    case $guest in
    fpmix | neonmix) # floats; contraction off: results do not depend on what the compiler fuses
        flags=$(echo "$CFLAGS" | sed 's/-mfloat-abi=soft -mgeneral-regs-only/-mfloat-abi=softfp -mfpu=neon-vfpv4 -ffp-contract=off/')
        ;;
    esac
    # shellcheck disable=SC2086
    "$CC" $mode $flags $LDFLAGS -I"$here/rt" -T "$here/rt/link.ld" -o "$out" \
        "$here/rt/startup.S" "$here/rt/rt.c" "$here/rt/text.c" "$here/$guest.c" $extra -lgcc
}

if [ "${1-}" = --one ]; then
    [ $# = 4 ] || { echo "usage: build.sh --one GUEST a32|t32 OUTFILE" >&2; exit 2; }
    one "$2" "$3" "$4"
    exit 0
fi
[ $# -ge 1 ] || { echo "usage: build.sh OUTDIR [GUEST...]" >&2; exit 2; }
outdir=$1
shift
mkdir -p "$outdir"
if [ $# = 0 ]; then
    for f in "$here"/*.c; do
        set -- "$@" "$(basename "$f" .c)"
    done
fi
for g in "$@"; do
    for isa in a32 t32; do
        elf=$outdir/$g.$isa.elf
        if [ -f "$elf" ] && [ -z "$(find "$here/$g".* "$here/rt" "$here/build.sh" -newer "$elf")" ]; then
            continue
        fi
        # Others may be running the old file: replace it in one step.
        one "$g" "$isa" "$elf.new"
        mv "$elf.new" "$elf"
    done
done
