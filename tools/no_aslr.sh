#!/bin/sh
# Run a command without address space randomisation where the host lets us, else as it is.
if setarch "$(uname -m)" -R true 2>/dev/null; then
    exec setarch "$(uname -m)" -R "$@"
fi
exec "$@"
