#include "device.hpp"

#include <SoapySDR/Constants.h>

#include <cmath>
#include <functional>
#include <stdexcept>

namespace zmqradio {

namespace {

double limited(const std::string &what, double value, double low, double high, const char *unit)
{
    if (!(value >= low && value <= high))
        throw std::invalid_argument("zmq: " + what + ": must be from " + text(low) + " to " + text(high) + " " + unit + "; got " + text(value));
    return value;
}

constexpr double kStageGain = 30; // [dB] of each stage, from 0

double Params::*stage(int direction, const std::string &name)
{
    if (direction == SOAPY_SDR_RX) {
        if (name == "LNA") return &Params::lna;
        if (name == "VGA") return &Params::vga;
        throw std::invalid_argument("zmq: RX gain stages are LNA and VGA; got '" + name + "'");
    }
    if (name == "PGA") return &Params::pga;
    if (name == "PA") return &Params::pa;
    throw std::invalid_argument("zmq: TX gain stages are PGA and PA; got '" + name + "'");
}

const char *side(int direction) { return direction == SOAPY_SDR_RX ? "RX" : "TX"; }

} // namespace

std::vector<std::string> ZmqDevice::listAntennas(int direction, size_t) const { return {side(direction)}; }

void ZmqDevice::setAntenna(int direction, size_t channel, const std::string &name)
{
    check(direction, channel);
    if (name != side(direction)) throw std::invalid_argument(std::string("zmq: antenna must be ") + side(direction) + "; got '" + name + "'");
}

std::string ZmqDevice::getAntenna(int direction, size_t) const { return side(direction); }

bool ZmqDevice::hasDCOffsetMode(int direction, size_t) const { return direction == SOAPY_SDR_RX; }

void ZmqDevice::setDCOffsetMode(int direction, size_t channel, bool automatic)
{
    check(direction, channel);
    if (direction == SOAPY_SDR_RX) settings.set([&](Params &p) { p.dcAutomatic = automatic; });
}

bool ZmqDevice::getDCOffsetMode(int direction, size_t) const { return direction == SOAPY_SDR_RX && settings.get().dcAutomatic; }

bool ZmqDevice::hasDCOffset(int direction, size_t) const { return direction == SOAPY_SDR_RX; }

void ZmqDevice::setDCOffset(int direction, size_t channel, const std::complex<double> &offset)
{
    check(direction, channel);
    if (direction == SOAPY_SDR_RX) settings.set([&](Params &p) { p.dcCorrection = offset; });
}

std::complex<double> ZmqDevice::getDCOffset(int direction, size_t) const
{
    return direction == SOAPY_SDR_RX ? settings.get().dcCorrection : 0;
}

bool ZmqDevice::hasFrequencyCorrection(int, size_t) const { return true; }

void ZmqDevice::applyPpm()
{
    const Params p = settings.get();
    timebase->setPpm(p.ppm + p.correction);
}

void ZmqDevice::setFrequencyCorrection(int direction, size_t channel, double ppm)
{
    check(direction, channel);
    limited("frequency correction", ppm, -1000, 1000, "ppm");
    settings.set([&](Params &p) { p.correction = ppm; });
    applyPpm();
}

double ZmqDevice::getFrequencyCorrection(int, size_t) const { return settings.get().correction; }

std::vector<std::string> ZmqDevice::listGains(int direction, size_t) const
{
    if (direction == SOAPY_SDR_RX) return {"LNA", "VGA"};
    return {"PGA", "PA"};
}

bool ZmqDevice::hasGainMode(int direction, size_t) const { return direction == SOAPY_SDR_RX; }

void ZmqDevice::setGainMode(int direction, size_t channel, bool automatic)
{
    check(direction, channel);
    if (direction == SOAPY_SDR_RX) settings.set([&](Params &p) { p.agc = automatic; });
    else if (automatic) throw std::invalid_argument("zmq: the transmitter has no automatic gain");
}

bool ZmqDevice::getGainMode(int direction, size_t) const { return direction == SOAPY_SDR_RX && settings.get().agc; }

void ZmqDevice::setGain(int direction, size_t channel, const std::string &name, double value)
{
    check(direction, channel);
    double Params::*const field = stage(direction, name);
    limited(std::string(side(direction)) + " gain " + name, value, 0, kStageGain, "dB");
    settings.set([&](Params &p) { p.*field = value; });
}

double ZmqDevice::getGain(int direction, size_t, const std::string &name) const { return settings.get().*stage(direction, name); }

SoapySDR::Range ZmqDevice::getGainRange(int direction, size_t, const std::string &name) const
{
    stage(direction, name);
    return {0, kStageGain};
}

void ZmqDevice::setFrequency(int direction, size_t channel, const std::string &name, double frequency, const SoapySDR::Kwargs &)
{
    check(direction, channel);
    if (name == "RF") {
        limited("frequency", frequency, kMinFrequency, kMaxFrequency, "Hz");
        settings.set([&](Params &p) { p.rf[direction] = frequency; });
    } else if (name == "BB") {
        limited("frequency BB", frequency, -kMaxRate, kMaxRate, "Hz");
        settings.set([&](Params &p) { p.bb[direction] = frequency; });
    } else {
        throw std::invalid_argument("zmq: frequency components are RF and BB; got '" + name + "'");
    }
}

double ZmqDevice::getFrequency(int direction, size_t, const std::string &name) const
{
    const Params p = settings.get();
    return name == "RF" ? p.rf[direction] : name == "BB" ? p.bb[direction] : 0;
}

std::vector<std::string> ZmqDevice::listFrequencies(int, size_t) const { return {"RF", "BB"}; }

SoapySDR::RangeList ZmqDevice::getFrequencyRange(int, size_t) const { return {{kMinFrequency, kMaxFrequency}}; }

SoapySDR::RangeList ZmqDevice::getFrequencyRange(int, size_t, const std::string &name) const
{
    if (name == "BB") return {{-kMaxRate, kMaxRate}};
    return {{kMinFrequency, kMaxFrequency}};
}

void ZmqDevice::setSampleRate(int direction, size_t channel, double rate)
{
    check(direction, channel);
    limited("sample rate", rate, kMinRate, kMaxRate, "samples/s");
    if (settings.get().rate[direction] == rate) return;
    settings.set([&](Params &p) { p.rate[direction] = rate; });
    std::lock_guard<std::mutex> lock(streamsMutex);
    if (direction == SOAPY_SDR_TX && transmitter) transmitter->reset();
    if (direction == SOAPY_SDR_RX && receiver) receiver->reset();
}

double ZmqDevice::getSampleRate(int direction, size_t) const { return settings.get().rate[direction]; }

SoapySDR::RangeList ZmqDevice::getSampleRateRange(int, size_t) const { return {{kMinRate, kMaxRate}}; }

void ZmqDevice::setBandwidth(int direction, size_t channel, double bandwidth)
{
    check(direction, channel);
    if (bandwidth != 0) limited("bandwidth", bandwidth, kMinRate, kMaxRate, "Hz (0: that of the sample rate)");
    settings.set([&](Params &p) { p.bandwidth[direction] = bandwidth; });
}

double ZmqDevice::getBandwidth(int direction, size_t) const
{
    const Params p = settings.get();
    return p.bandwidth[direction] > 0 ? p.bandwidth[direction] : p.rate[direction];
}

SoapySDR::RangeList ZmqDevice::getBandwidthRange(int, size_t) const { return {{kMinRate, kMaxRate}}; }

void ZmqDevice::writeSetting(const std::string &key, const std::string &value)
{
    settings.write(key, value);
    if (key == "ppm") applyPpm();
}

void ZmqDevice::writeSetting(int, size_t, const std::string &key, const std::string &value) { writeSetting(key, value); }

std::string ZmqDevice::readSetting(int, size_t, const std::string &key) const { return readSetting(key); }

namespace {

const std::vector<std::pair<std::string, std::string>> kSensors = {
    {"rx_overflows", "overflows since the stream was activated"},
    {"rx_lost_samples", "samples lost in them"},
    {"rx_clipped", "received samples that saturated"},
    {"rx_packets", "packets from transmitters"},
    {"rx_lost_packets", "gaps in their numbering"},
    {"rx_malformed", "messages that are no packets"},
    {"rx_transmitters", "transmitters heard in the last second"},
    {"tx_underflows", "bursts that ran dry"},
    {"tx_tardy", "of these, those for which samples were there and the driver's thread was late"},
    {"tx_late", "bursts that came too late"},
    {"tx_clipped", "transmitted values that saturated"},
    {"tx_dropped_packets", "packets that a receiver did not take"},
};

} // namespace

std::vector<std::string> ZmqDevice::listSensors() const
{
    std::vector<std::string> names;
    for (const auto &one : kSensors) names.push_back(one.first);
    return names;
}

SoapySDR::ArgInfo ZmqDevice::getSensorInfo(const std::string &key) const
{
    SoapySDR::ArgInfo info;
    info.key = info.name = key;
    info.type = SoapySDR::ArgInfo::INT;
    info.value = "0";
    for (const auto &one : kSensors)
        if (one.first == key) info.description = one.second;
    return info;
}

std::string ZmqDevice::readSensor(const std::string &key) const
{
    std::lock_guard<std::mutex> lock(streamsMutex);
    const Receiver *rx = receiver.get();
    const Transmitter *tx = transmitter.get();
    const std::pair<const char *, std::function<uint64_t()>> values[] = {
        {"rx_overflows", [&] { return rx ? rx->overflows.load() : 0; }},
        {"rx_lost_samples", [&] { return rx ? rx->lostSamples.load() : 0; }},
        {"rx_clipped", [&] { return rx ? rx->clipped.load() : 0; }},
        {"rx_packets", [&] { return rx ? rx->packets() : 0; }},
        {"rx_lost_packets", [&] { return rx ? rx->lostPackets() : 0; }},
        {"rx_malformed", [&] { return rx ? rx->malformed.load() : 0; }},
        {"rx_transmitters", [&] { return rx ? rx->transmitters() : 0; }},
        {"tx_underflows", [&] { return tx ? tx->underflows.load() : 0; }},
        {"tx_tardy", [&] { return tx ? tx->tardy.load() : 0; }},
        {"tx_late", [&] { return tx ? tx->lates.load() : 0; }},
        {"tx_clipped", [&] { return tx ? tx->clipped.load() : 0; }},
        {"tx_dropped_packets", [&] { return tx ? tx->droppedPackets.load() : 0; }},
    };
    for (const auto &one : values)
        if (key == one.first) return std::to_string(one.second());
    throw std::invalid_argument("zmq: there is no sensor '" + key + "'");
}

std::vector<std::string> ZmqDevice::listSensors(int direction, size_t) const
{
    if (direction == SOAPY_SDR_RX) return {"lo_locked", "rssi"};
    return {"lo_locked"};
}

SoapySDR::ArgInfo ZmqDevice::getSensorInfo(int, size_t, const std::string &key) const
{
    SoapySDR::ArgInfo info;
    info.key = info.name = key;
    info.type = key == "rssi" ? SoapySDR::ArgInfo::FLOAT : SoapySDR::ArgInfo::BOOL;
    info.units = key == "rssi" ? "dBFS" : "";
    info.value = key == "rssi" ? "-300" : "true";
    return info;
}

std::string ZmqDevice::readSensor(int direction, size_t channel, const std::string &key) const
{
    check(direction, channel);
    if (key == "lo_locked") return "true";
    std::lock_guard<std::mutex> lock(streamsMutex);
    if (key == "rssi" && direction == SOAPY_SDR_RX) return text(receiver ? receiver->rssi.load() : -300);
    throw std::invalid_argument("zmq: there is no sensor '" + key + "' on this channel");
}

} // namespace zmqradio
