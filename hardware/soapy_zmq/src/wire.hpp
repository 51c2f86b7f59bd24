// What crosses ZMQ: one message a packet, this header and then float32 I, Q (README, "Wire format").
#pragma once

#include <cstddef>
#include <cstdint>

namespace zmqradio {

constexpr size_t kPacketSamples = 4096;
constexpr uint16_t kWireVersion = 1;
constexpr uint32_t kBurstStart = 1, kBurstEnd = 2;

struct WireHeader {
    char magic[4];
    uint16_t version;
    uint16_t headerBytes;
    uint32_t flags;
    uint32_t samples;
    uint64_t stream;
    uint64_t number;
    int64_t index;
    int64_t epochIndex;
    int64_t epochAirNs;
    double epochAirFraction;
    double rate;
    double frequency;
    uint64_t clock;
    uint64_t reserved;
};
static_assert(sizeof(WireHeader) == 96, "the wire format has 96 bytes of header");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire format is little-endian");

} // namespace zmqradio
