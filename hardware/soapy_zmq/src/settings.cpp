#include "settings.hpp"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace zmqradio {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Item {
    const char *key, *name, *units;
    double low, high;
    double Params::*field;
};

const Item kItems[] = {
    {"ppm", "error of the oscillator", "ppm", -1000, 1000, &Params::ppm},
    {"noise_floor", "noise at the receiver's input", "dBFS", -kInf, 40, &Params::noiseFloor},
    {"adc_noise", "noise after the receiver's gain", "dBFS", -kInf, 40, &Params::adcNoise},
    {"path_loss", "loss on the way to this receiver", "dB", -60, 300, &Params::pathLoss},
    {"delay_ns", "delay on the way to this receiver", "ns", 0, 1e8, &Params::delayNs},
    {"dc_i", "DC offset of the receiver, I", "full scale", -1, 1, &Params::dcI},
    {"dc_q", "DC offset of the receiver, Q", "full scale", -1, 1, &Params::dcQ},
    {"iq_gain_db", "gain of I over Q in the receiver", "dB", -20, 20, &Params::iqGainDb},
    {"iq_phase_deg", "phase error of Q in the receiver", "degrees", -45, 45, &Params::iqPhaseDeg},
};

struct Fault {
    const char *key, *name;
    std::atomic<int64_t> Settings::*field;
};

const Fault kFaults[] = {
    {"fault_overflow", "received samples to lose, with an overflow", &Settings::overflow},
    {"fault_drop", "received samples to lose without a sign", &Settings::drop},
    {"fault_underflow", "samples for which the transmitter runs dry", &Settings::underflow},
};

struct Switch {
    const char *key, *name;
    double Params::*field;
};

const Switch kSwitches[] = {
    {"fault_agc", "the receiver's gain is stuck and clips", &Params::agcStuck},
    {"fault_swap_iq", "I and Q of the receiver are exchanged", &Params::swapIq},
};

bool truth(const std::string &key, const std::string &value)
{
    if (value == "true" || value == "1" || value == "yes" || value == "on") return true;
    if (value == "false" || value == "0" || value == "no" || value == "off") return false;
    throw std::invalid_argument("zmq: " + key + ": must be true or false; got '" + value + "'");
}

uint64_t seed(const std::string &value)
{
    char *end = nullptr;
    errno = 0;
    const unsigned long long parsed = std::strtoull(value.c_str(), &end, 0);
    if (value.empty() || value[0] == '-' || *end || errno)
        throw std::invalid_argument("zmq: seed: must be an integer from 0 to 2^64 - 1; got '" + value + "'");
    return parsed;
}

} // namespace

std::string text(double value)
{
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%.15g", value);
    return buffer;
}

double number(const std::string &key, const std::string &value, double low, double high)
{
    char *end = nullptr;
    const double parsed = std::strtod(value.c_str(), &end);
    if (value.empty() || *end || std::isnan(parsed) || parsed < low || parsed > high)
        throw std::invalid_argument("zmq: " + key + ": must be a number from " + text(low) + " to " + text(high) + "; got '" +
                                    value + "'");
    return parsed;
}

void Settings::write(const std::string &key, const std::string &value)
{
    for (const Item &item : kItems) {
        if (key != item.key) continue;
        const double parsed = number(key, value, item.low, item.high);
        return set([&](Params &p) { p.*item.field = parsed; });
    }
    for (const Fault &fault : kFaults) {
        if (key == fault.key) return void(this->*fault.field = int64_t(number(key, value, 0, 1e12)));
    }
    for (const Switch &one : kSwitches) {
        if (key != one.key) continue;
        const bool on = truth(key, value);
        return set([&](Params &p) { p.*one.field = on; });
    }
    if (key == "seed") {
        const uint64_t parsed = seed(value);
        return set([&](Params &p) { p.seed = parsed; });
    }
    std::string known;
    for (const auto &one : info()) known += (known.empty() ? "" : ", ") + one.key;
    throw std::invalid_argument("zmq: there is no setting '" + key + "'; there are " + known);
}

std::string Settings::read(const std::string &key) const
{
    const Params p = get();
    for (const Item &item : kItems)
        if (key == item.key) return text(p.*item.field);
    for (const Fault &fault : kFaults)
        if (key == fault.key) return std::to_string((this->*fault.field).load());
    for (const Switch &one : kSwitches)
        if (key == one.key) return p.*one.field != 0 ? "true" : "false";
    if (key == "seed") return std::to_string(p.seed);
    throw std::invalid_argument("zmq: there is no setting '" + key + "'");
}

bool Settings::has(const std::string &key)
{
    for (const auto &one : info())
        if (one.key == key) return true;
    return false;
}

SoapySDR::ArgInfoList Settings::info()
{
    SoapySDR::ArgInfoList list;
    const auto add = [&](const char *key, const char *name, const char *units, const std::string &value, SoapySDR::ArgInfo::Type type) {
        SoapySDR::ArgInfo one;
        one.key = key;
        one.name = key;
        one.description = name;
        one.units = units;
        one.value = value;
        one.type = type;
        list.push_back(one);
    };
    const Params standard;
    for (const Item &item : kItems) {
        add(item.key, item.name, item.units, text(standard.*item.field), SoapySDR::ArgInfo::FLOAT);
        if (std::isfinite(item.low)) list.back().range = SoapySDR::Range(item.low, item.high);
    }
    add("seed", "of the receiver's noise", "", "0", SoapySDR::ArgInfo::INT);
    for (const Fault &fault : kFaults) add(fault.key, fault.name, "samples", "0", SoapySDR::ArgInfo::INT);
    for (const Switch &one : kSwitches) add(one.key, one.name, "", "false", SoapySDR::ArgInfo::BOOL);
    return list;
}

} // namespace zmqradio
