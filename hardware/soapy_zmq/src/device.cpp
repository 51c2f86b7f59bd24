#include "device.hpp"

#include <SoapySDR/Constants.h>
#include <SoapySDR/Errors.h>
#include <SoapySDR/Formats.h>
#include <SoapySDR/Logger.hpp>

#include <chrono>
#include <stdexcept>
#include <thread>

namespace zmqradio {

namespace {

const char *const kArguments[] = {"driver", "label", "serial", "rx", "tx", "latency_ms", "rx_buffer_ms", "tx_buffer_ms",
                                  "tx_start_ms", "clock_shift_ms", "tx_whole", "tx_samples", "tx_timeouts", "rx_timeouts",
                                  "rx_stall"};

std::string argument(const SoapySDR::Kwargs &args, const char *key, const std::string &otherwise)
{
    const auto found = args.find(key);
    return found == args.end() ? otherwise : found->second;
}

// Receivers on different endpoints hear different noise, each the same one every time.
uint64_t seedOf(const std::string &endpoint)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : endpoint) hash = (hash ^ uint8_t(c)) * 0x100000001b3u;
    return hash;
}

} // namespace

bool isDeviceArgument(const std::string &key)
{
    for (const char *one : kArguments)
        if (key == one) return true;
    return false;
}

ZmqDevice::ZmqDevice(const SoapySDR::Kwargs &given) : args(given)
{
    const auto receivers = endpoints("rx", argument(args, "rx", kDefaultEndpoint));
    if (receivers.size() > 1) throw std::invalid_argument("zmq: rx: a receiver has one endpoint; got '" + args.at("rx") + "'");
    hasReceiver = !receivers.empty();
    if (hasReceiver) receiverOptions.endpoint = receivers[0];
    transmitterOptions.endpoints = endpoints("tx", argument(args, "tx", kDefaultEndpoint));
    receiverOptions.latencyMs = number("latency_ms", argument(args, "latency_ms", "20"), 0, 1000);
    receiverOptions.bufferMs = number("rx_buffer_ms", argument(args, "rx_buffer_ms", "250"), 1, 5000);
    transmitterOptions.bufferMs = number("tx_buffer_ms", argument(args, "tx_buffer_ms", "100"), 1, 5000);
    transmitterOptions.startMs = number("tx_start_ms", argument(args, "tx_start_ms", "10"), 0, 1000);
    const auto count = [&](const char *key, double high) { return int64_t(number(key, argument(args, key, "0"), 0, high)); };
    transmitterOptions.whole = size_t(count("tx_whole", 1 << 22));
    transmitterOptions.samples = size_t(count("tx_samples", 1 << 24));
    if (transmitterOptions.samples && transmitterOptions.samples < 64)
        throw std::invalid_argument("zmq: tx_samples: must be 0 or at least 64; got '" + args.at("tx_samples") + "'");
    if (transmitterOptions.samples && transmitterOptions.samples < 2 * transmitterOptions.whole)
        throw std::invalid_argument("zmq: tx_samples: must be 0 or twice tx_whole; got '" + args.at("tx_samples") + "'");
    transmitterOptions.timeouts = int(count("tx_timeouts", 1e6));
    receiverOptions.timeouts = int(count("rx_timeouts", 1e6));
    receiverOptions.stall = count("rx_stall", 1) != 0;
    const double shift = number("clock_shift_ms", argument(args, "clock_shift_ms", "0"), -1e9, 1e9);
    settings.set([&](Params &p) { p.seed = seedOf(receiverOptions.endpoint); });
    for (const auto &one : args) {
        if (Settings::has(one.first))
            settings.write(one.first, one.second);
        else if (!isDeviceArgument(one.first))
            SoapySDR::logf(SOAPY_SDR_WARNING, "zmq: device argument '%s' is not known and changes nothing", one.first.c_str());
    }
    timebase = std::make_unique<Timebase>(settings.get().ppm, int64_t(shift * 1e6));
}

ZmqDevice::~ZmqDevice() = default;

SoapySDR::Kwargs ZmqDevice::getHardwareInfo() const
{
    return {{"rx", argument(args, "rx", kDefaultEndpoint)}, {"tx", argument(args, "tx", kDefaultEndpoint)},
            {"serial", argument(args, "serial", "zmq0")}};
}

size_t ZmqDevice::getNumChannels(int direction) const
{
    return direction == SOAPY_SDR_RX ? hasReceiver : !transmitterOptions.endpoints.empty();
}

SoapySDR::Kwargs ZmqDevice::getChannelInfo(int direction, size_t channel) const
{
    check(direction, channel);
    return {{"endpoint", argument(args, direction == SOAPY_SDR_RX ? "rx" : "tx", kDefaultEndpoint)}};
}

void ZmqDevice::check(int direction, size_t channel) const
{
    if (channel >= getNumChannels(direction)) {
        const bool rx = direction == SOAPY_SDR_RX;
        throw std::invalid_argument(std::string("zmq: this device has ") + (getNumChannels(direction) ? "one " : "no ") + (rx ? "RX" : "TX") +
                                    " channel; got channel " + std::to_string(channel) + (rx ? " (device argument rx)" : " (device argument tx)"));
    }
}

// Streams

std::vector<std::string> ZmqDevice::getStreamFormats(int, size_t) const { return {SOAPY_SDR_CF32, SOAPY_SDR_CS16}; }

std::string ZmqDevice::getNativeStreamFormat(int, size_t, double &fullScale) const
{
    fullScale = 1.0;
    return SOAPY_SDR_CF32;
}

SoapySDR::Stream *ZmqDevice::setupStream(int direction, const std::string &format, const std::vector<size_t> &channels, const SoapySDR::Kwargs &)
{
    if (format != SOAPY_SDR_CF32 && format != SOAPY_SDR_CS16)
        throw std::invalid_argument("zmq: stream format must be CF32 or CS16; got '" + format + "'");
    if (channels.size() > 1) throw std::invalid_argument("zmq: a stream has one channel; got " + std::to_string(channels.size()));
    check(direction, channels.empty() ? 0 : channels[0]);
    std::lock_guard<std::mutex> lock(streamsMutex);
    const bool shorts = format == SOAPY_SDR_CS16, rx = direction == SOAPY_SDR_RX;
    if (rx ? bool(receiver) : bool(transmitter))
        throw std::runtime_error(std::string("zmq: this device has ") + (rx ? "an RX" : "a TX") + " stream already; close it first");
    if (rx)
        receiver = std::make_unique<Receiver>(context, settings, *timebase, receiverOptions, shorts);
    else
        transmitter = std::make_unique<Transmitter>(context, settings, *timebase, transmitterOptions, shorts);
    return handle(direction);
}

bool ZmqDevice::isRx(SoapySDR::Stream *stream) const
{
    const char *which = reinterpret_cast<const char *>(stream);
    if (which == &handles[SOAPY_SDR_RX] && receiver) return true;
    if (which == &handles[SOAPY_SDR_TX] && transmitter) return false;
    throw std::invalid_argument("zmq: this is no open stream of this device");
}

void ZmqDevice::closeStream(SoapySDR::Stream *stream)
{
    if (isRx(stream)) {
        receiver->deactivate();
        std::lock_guard<std::mutex> lock(streamsMutex);
        receiver.reset();
    } else {
        transmitter->deactivate();
        std::lock_guard<std::mutex> lock(streamsMutex);
        transmitter.reset();
    }
}

size_t ZmqDevice::getStreamMTU(SoapySDR::Stream *stream) const
{
    return !isRx(stream) && transmitterOptions.whole ? transmitterOptions.whole : Receiver::kMtu;
}

int ZmqDevice::activateStream(SoapySDR::Stream *stream, int flags, long long timeNs, size_t numElems)
{
    if (isRx(stream)) return receiver->activate(flags, timeNs - timeOffset, numElems);
    return transmitter->activate();
}

int ZmqDevice::deactivateStream(SoapySDR::Stream *stream, int, long long)
{
    return isRx(stream) ? receiver->deactivate() : transmitter->deactivate();
}

int ZmqDevice::readStream(SoapySDR::Stream *stream, void *const *buffs, size_t numElems, int &flags, long long &timeNs, long timeoutUs)
{
    if (!isRx(stream)) return SOAPY_SDR_NOT_SUPPORTED;
    const int got = receiver->read(buffs[0], numElems, flags, timeNs, timeoutUs);
    if (flags & SOAPY_SDR_HAS_TIME) timeNs += timeOffset;
    return got;
}

int ZmqDevice::writeStream(SoapySDR::Stream *stream, const void *const *buffs, size_t numElems, int &flags, long long timeNs, long timeoutUs)
{
    if (isRx(stream)) return SOAPY_SDR_NOT_SUPPORTED;
    return transmitter->write(buffs[0], numElems, flags, timeNs - timeOffset, timeoutUs);
}

int ZmqDevice::readStreamStatus(SoapySDR::Stream *stream, size_t &chanMask, int &flags, long long &timeNs, long timeoutUs)
{
    chanMask = 1;
    flags = 0;
    if (isRx(stream)) { // overflows are told by readStream
        std::this_thread::sleep_for(std::chrono::microseconds(timeoutUs));
        return SOAPY_SDR_TIMEOUT;
    }
    const int code = transmitter->status(flags, timeNs, timeoutUs);
    if (flags & SOAPY_SDR_HAS_TIME) timeNs += timeOffset;
    return code;
}

// Time

bool ZmqDevice::hasHardwareTime(const std::string &what) const { return what.empty(); }

long long ZmqDevice::getHardwareTime(const std::string &) const
{
    return (long long)(timebase->toHw(Real(timebase->now()))) + timeOffset;
}

void ZmqDevice::setHardwareTime(long long timeNs, const std::string &)
{
    timeOffset = timeNs - (long long)(timebase->toHw(Real(timebase->now())));
}

void ZmqDevice::setClockSource(const std::string &source)
{
    if (source != "internal") throw std::invalid_argument("zmq: clock source must be internal; got '" + source + "'");
}

void ZmqDevice::setTimeSource(const std::string &source)
{
    if (source != "none") throw std::invalid_argument("zmq: time source must be none; got '" + source + "'");
}

} // namespace zmqradio
