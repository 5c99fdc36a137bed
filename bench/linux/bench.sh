#!/bin/sh
# bench.sh — one measurement under Linux: prepares, has `timed` run the program, checks what it put out, says PASS.
#
#   bench.sh NAME [copies=N] [KEY=VALUE...]       KEY=VALUE goes to programs of our own
#
# Only what `timed` runs is timed. What is expected of the programs of others was computed on another machine.
cd /tmp || exit 1
dir=/usr/lib/dbtlab/bench
name=$1
shift
copies=1 params=
for word; do
    case $word in
    copies=*) copies=${word#copies=} ;;
    *) params="$params $word" ;;
    esac
done

prime=E2A0FF659C07F3FF0CE313B8877D815D462CFC248BB95224DE1F0F07658CE3397DF1696F62BDF117D2946D7A70D0FD86\
D73F58EFF50ADE10D1EA750B51FA891B31DA013E92CB721386D697D7A2B9EE4393CDD75D595E87BFB42D7ECCFD66E457\
CA2453F57EEA56ACBBA4D655A379E1DBF8D90D7962E4EA68D11CB0BB4C763DB7

fail() { echo "FAIL $name: $*"; exit 1; }
timed() { $dir/timed "$copies" /tmp/out "$@" 2>/tmp/err || fail "exit code $?: $(tail -n 1 /tmp/err) $(tail -n 1 /tmp/out.0)"; }
each() { n=0; while [ $n -lt "$copies" ]; do "$@" /tmp/out.$n; n=$((n + 1)); done; }
passed() { grep -q "^PASS $name" "$1" || fail "$(tail -n 1 "$1")"; }
equal() { [ "$(sha256sum <"$2")" = "$1  -" ] || fail "the output is wrong: $(head -c 100 "$2")"; }
# N times the first 60,000 numbers as lines: 348,894 bytes each.
input() {
    seq 1 60000 >/tmp/one
    n=0
    while [ $n -lt "$1" ]; do
        cat /tmp/one
        n=$((n + 1))
    done >/tmp/in
}

echo "#! mark up"
case $name in
boot)
    echo "#! mark begin"
    echo "#! mark end"
    ;;
intmix_dhry | intmix_core | matmul | nbody)
    # shellcheck disable=SC2086
    timed $dir/$name $params
    each passed
    ;;
aes)
    input 50
    timed /usr/bin/openssl enc -aes-128-cbc -K 00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f \
        -in /tmp/in
    each equal c00d1d6a32f667999420ff4c8f6ce971d109a62cebd5cce6c1268b74eed296e5
    ;;
sha256)
    input 50
    timed /usr/bin/openssl dgst -sha256 -r /tmp/in
    grep -q "^f5181714a9a1f023f7c87c0cb541eadff5e2fcd53b8b8b5f5222f8d3205ef1c7 " /tmp/out.0 || fail "$(head -c 100 /tmp/out.0)"
    ;;
prime)
    # 64 exponentiations modulo a 1024-bit number: what RSA with 2048 bits does twice for each signature.
    timed /usr/bin/openssl prime -hex "$prime"
    for n in $(seq 0 $((copies - 1))); do
        grep -q "is prime" /tmp/out.$n || fail "$(head -c 100 /tmp/out.$n)"
    done
    ;;
xz)
    input 2
    timed /usr/bin/xz -c -T1 /tmp/in
    for n in $(seq 0 $((copies - 1))); do
        [ "$(xz -dc /tmp/out.$n | sha256sum)" = "$(sha256sum </tmp/in)" ] || fail "copy $n is not what was packed"
    done
    ;;
matrix)
    timed /usr/bin/stress-ng --matrix 1 --matrix-ops 300 --matrix-size 64 --matrix-method prod --verify --metrics
    cat /tmp/out.0 /tmp/err | grep -q "successful run completed" || fail "$(tail -n 1 /tmp/err)"
    ;;
hackbench)
    timed /usr/bin/hackbench -g 1 -l 100
    grep -q "^Time:" /tmp/out.0 || fail "no time in the output"
    ;;
syscalls)
    timed /bin/busybox dd if=/dev/zero of=/dev/null bs=512 count=60000
    grep -q "^60000+0 records out" /tmp/err || fail "$(tail -n 1 /tmp/err)"
    ;;
*) fail "there is no such measurement" ;;
esac
echo "PASS $name"
