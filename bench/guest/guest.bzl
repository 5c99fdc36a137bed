"""guest.bzl — builds the bare-metal guest programs with the Arm cross compiler, through build.sh."""

def guest_programs(name, sources, runtime, tool = ":build.sh", isas = ["a32", "t32"]):
    """One genrule for each program and instruction set, and a filegroup of all outputs.

    Args:
      name: the filegroup with every GUEST.ISA.elf.
      sources: all *.c and *.S of the package; each *.c is a guest.
      runtime: the files of rt/.
      tool: build.sh, which alone knows the compiler's flags.
      isas: the instruction sets to build for.
    """
    outputs = []
    for source in sources:
        if not source.endswith(".c"):
            continue
        guest = source[:-len(".c")]
        own = [source] + [s for s in sources if s == guest + ".S"]
        for isa in isas:
            out = "%s.%s.elf" % (guest, isa)
            native.genrule(
                name = "%s_%s" % (guest, isa),
                srcs = own + runtime,
                outs = [out],
                # build.sh finds the sources beside itself: called by the path in the source tree.
                cmd = "sh $(location %s) --one %s %s $@" % (tool, guest, isa),
                exec_tools = [tool],
                message = "Compiling guest",
                visibility = ["//visibility:public"],
            )
            outputs.append(out)
    native.filegroup(
        name = name,
        srcs = outputs,
        visibility = ["//visibility:public"],
    )
