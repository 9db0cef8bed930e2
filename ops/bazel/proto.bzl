"""proto3 files to C++ by the system's protoc: a genrule and a library. Generated code is exempt from -Werror."""

def holdfast_proto(name, deps = [], grpc = False, visibility = None):
    """Compiles proto/NAME.proto. `deps` are names of other targets of this macro in the package."""
    outs = [name + ".pb.h", name + ".pb.cc"]
    cmd = "protoc -I. --cpp_out=$(GENDIR) $(location " + name + ".proto)"
    if grpc:
        outs += [name + ".grpc.pb.h", name + ".grpc.pb.cc"]
        cmd += " --grpc_out=$(GENDIR) --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"
    native.genrule(
        name = name + "_gen",
        srcs = [name + ".proto"] + [d + ".proto" for d in deps],
        outs = outs,
        cmd = cmd,
    )
    native.cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-w"],
        visibility = visibility,
        deps = [":" + d for d in deps] + ["//ops/bazel:protobuf"] + (["//ops/bazel:grpc"] if grpc else []),
    )
