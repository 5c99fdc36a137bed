# session.gdb - a first look at a guest with two vCPUs; tests/gdb/session_test.py runs it too
#
#   ./dbtlab run --smp=2 --gdb=1234 GUEST.elf &
#   gdb-multiarch -ex 'target remote :1234' -x tests/gdb/session.gdb GUEST.elf

set pagination off
set confirm off

# Both vCPUs stand at their first instruction.
info threads

# A breakpoint holds on every vCPU; the one that comes first stops them all.
break factorial
continue
backtrace
info threads
info registers r0 sp pc cpsr
delete

# Floating-point registers.
break product
continue
info registers d0 d1 fpscr
delete
finish

# Who writes a variable? The hardware watchpoint stops whichever vCPU does.
watch watched
continue
backtrace 2
delete

# What the emulator says of itself.
monitor info strategies
monitor info vcpus

# The guest goes on without us.
detach
