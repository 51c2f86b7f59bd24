// One library for every x86-64: hot functions exist twice and the loader takes the one the processor can run.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define ZMQRADIO_HOT __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define ZMQRADIO_HOT
#endif
