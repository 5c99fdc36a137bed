#!/bin/sh
# programs.sh — real programs in a guest; what they print is the same on any machine that computes right
#
#   programs.sh all | NAME...      `== NAME` before each, `-- exit CODE` after it
#
# Times, sizes of caches, addresses and orders of threads are kept out of the output.
cd /tmp || exit 1
hash() { sha256sum | cut -c1-64; }
quiet() { "$@" >/tmp/log 2>&1 || { echo "exit $?"; tail -n 5 /tmp/log; return 1; }; }
text() { seq 1 40000; }

p_busybox() {
    text | awk '{ s += $1 * $1 % 7; if ($1 % 3) print $1, s }' | sort -rn | md5sum
    echo 'scale=40; 4*a(1); e(1); 2^0.5' | bc -l 2>/dev/null
    text | sed 's/\([0-9]\)\([0-9]\)/\2\1/g' | tr 0-9 a-j | md5sum
    find /bin/ /usr/bin/ -name '*sh' | sort | head -n 4
}
p_openssl() {
    printf abc | openssl dgst -sha1 -sha256 -r
    for h in md5 sha1 sha256 sha512 sha3-256 blake2b512; do text | openssl dgst -$h -r; done
    key=000102030405060708090a0b0c0d0e0f iv=0f0e0d0c0b0a09080706050403020100
    for c in aes-128-cbc aes-256-ctr camellia-128-cbc chacha20; do
        k=$key; case $c in *256* | chacha20) k=$key$key ;; esac
        text | openssl enc -$c -K $k -iv $iv >enc
        hash <enc
        openssl enc -d -$c -K $k -iv $iv <enc | cmp - in && echo "$c back"
    done
    quiet openssl genrsa -out key.pem 1024
    quiet openssl rsa -in key.pem -pubout -out pub.pem
    openssl dgst -sha256 -sign key.pem -out sig in && openssl dgst -sha256 -verify pub.pem -signature sig in
    quiet openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
    quiet openssl ec -in ec.pem -pubout -out ecpub.pem
    openssl dgst -sha256 -sign ec.pem -out sig in && openssl dgst -sha256 -verify ecpub.pem -signature sig in
    openssl prime 170141183460469231731687303715884105727 | sed 's/.* is/is/'
}
p_openssl_speed() {
    for a in "-evp aes-128-cbc" "-evp sha256" rsa1024; do
        # shellcheck disable=SC2086
        openssl speed -seconds 1 -bytes 1024 $a 2>/tmp/log >/dev/null && echo "speed $a ran"
    done
}
p_xz() {
    xz -T2 --block-size=100000 -c in >x.xz && xz -dc -T2 x.xz | cmp - in && echo "xz back"
    xz -T1 -6 -c in | hash
}
p_pigz() {
    pigz -p 2 -c in >x.gz && gzip -dc x.gz | cmp - in && echo "gzip reads it"
    pigz -dc x.gz | cmp - in && echo "pigz reads it"
}
p_sqlite3() {
    sqlite3 /tmp/x.db <<'SQL'
create table t(n integer primary key, sq real, name text);
with recursive c(i) as (select 1 union all select i + 1 from c where i < 3000)
    insert into t select i, i * 1.5, printf('%05d-%x', i * 7919 % 3001, i) from c;
create index by_name on t(name);
begin; update t set sq = sq + n where n % 3 = 0; delete from t where n % 11 = 5; commit;
select count(*), sum(n), printf('%.6f', avg(sq)), min(name), max(name) from t;
select n % 5 as k, count(*), printf('%.3f', sum(sq)) from t where name > '01500' group by k order by k;
select a.n, b.n from t a join t b on b.name = a.name where a.n < 6 order by 1;
vacuum;
pragma integrity_check;
SQL
}
p_python() {
    python3 - <<'PY'
import decimal, fractions, hashlib, json, math, struct, threading, zlib
print(sum(fractions.Fraction(1, n) for n in range(1, 60)))
decimal.getcontext().prec = 60
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1).exp())
print([x.hex() for x in (math.pi ** math.e, math.sin(1e6), math.gamma(7.5), math.fsum([0.1] * 10), 5e-324 * 3, 1e308 * 10)])
print(struct.pack("<f", 1 / 3).hex(), struct.pack("<d", -0.0).hex(), math.copysign(1, -0.0), round(2.5), int(1e22), 0.1 + 0.2)
print(pow(3, 10**5, 2**127 - 1), (7**2000) % (10**30 + 57))
print(zlib.crc32(bytes(range(256)) * 999), hashlib.sha512(b"x" * 10**6).hexdigest()[:32])
print(json.dumps(json.loads('{"a": [1e3, -0.5, null, "\\u00e9"]}')))
n, lock, done = [0], threading.Lock(), []
def work(k):
    for _ in range(3000):
        with lock:
            n[0] += k
    done.append(k)
ts = [threading.Thread(target=work, args=(k,)) for k in range(1, 7)]
[t.start() for t in ts]; [t.join() for t in ts]
print(n[0], sorted(done))
q = threading.Condition(); box = []
def eat():
    for _ in range(500):
        with q:
            q.wait_for(lambda: box)
            box.pop()
            q.notify_all()
t = threading.Thread(target=eat); t.start()
for i in range(500):
    with q:
        q.wait_for(lambda: not box)
        box.append(i)
        q.notify_all()
t.join(); print("condition", len(box))
PY
}
p_hackbench() {
    hackbench -g 2 -l 30 | grep -v Time
    hackbench -T -p -g 1 -l 30 | grep -v Time
}
p_cyclictest() { quiet cyclictest -q -l 50 -i 2000 -t 2 && grep -c "^T: 0.*C: *50 " /tmp/log; }

# stress NAME OPS [OPTIONS]: a stressor that checks its results, on two workers.
# `mutex` ends by time: its first real-time thread may do all of a number of operations before the worker has noted that it has a
# thread, which it calls a failure (under QEMU too, 5 of 60 runs on one CPU).
stress() {
    name=$1 ops=$2
    shift 2
    stress-ng --$name 2 --$name-ops $ops --verify --timeout 60 "$@" >/tmp/log 2>&1
    code=$?
    grep -iE "fail|error|differ|incorrect|mismatch" /tmp/log
    grep -q "successful run completed" /tmp/log && echo "stress-ng $name: exit $code"
}
p_stress() {
    stress cpu 20 --cpu-method all
    stress matrix 20 --matrix-size 48
    stress atomic 20
    stress futex 300
    stress mutex 100000000 --timeout 3
    stress switch 300
    stress mmap 2 --mmap-bytes 2m
    stress fork 60
    stress vm 20 --vm-bytes 2m --vm-method all
    stress tlb-shootdown 30
}
# What uses the local monitor across context switches: all workers share one vCPU. `sem` takes all its time.
p_locks() {
    taskset 1 true || return
    stress atomic 40 --taskset 0
    stress futex 2000 --taskset 0
    stress mutex 100000000 --timeout 3 --taskset 0
    stress switch 1000 --taskset 0
    stress sem 1000 --taskset 0 --timeout 5
    taskset 1 python3 -c '
import threading
n, lock = 0, threading.Lock()
def work():
    global n
    for _ in range(4000):
        with lock:
            n += 1
ts = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]
print(n)'
}
# By hand, with the packages python3 and libpython3.11-testsuite; 1 GiB of memory.
p_python_tests() {
    for t in math cmath float struct decimal long int zlib hashlib threading thread queue; do
        quiet python3 -m test -q --timeout 600 test_$t && tail -n 1 /tmp/log | sed "s/^/test_$t /"
    done
}
# By hand, with the packages gcc and libc6-dev; 2 GiB of memory.
p_gcc() {
    cat >c.c <<'C'
#include <math.h>
#include <stdio.h>
static double f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2); }
int main(void) { printf("%.0f %.17g\n", f(22), sin(0.5) + sqrt(2)); return 0; }
C
    for o in -O0 -O2 "-O3 -mthumb" "-O2 -marm -flto"; do
        # shellcheck disable=SC2086
        quiet gcc $o -S -o - c.c >/dev/null && gcc $o -o c c.c -lm && ./c && hash <c
    done
}
p_stress_long() {
    for s in "cpu 400" "matrix 400" "atomic 400" "futex 20000" "mutex 100000000 --timeout 10" "switch 20000" "mmap 20" "fork 1000" \
        "vm 400" "tlb-shootdown 500" "sem 20000" "pipe 20000" "fp 200" "vecmath 200" "cache 50" "signal 20000" "clone 500"; do
        # shellcheck disable=SC2086
        stress $s
    done
}

text >in
[ "$1" = all ] && set -- busybox openssl openssl_speed xz pigz sqlite3 python hackbench cyclictest stress
for name; do
    echo "== $name"
    p_$name
    echo "-- exit $?"
done
