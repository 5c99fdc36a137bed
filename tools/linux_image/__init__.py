"""linux_image - what Debian's Linux as a guest is made of: packages, kernel, RAM disk. Its commands: tools/guest_linux.py."""
