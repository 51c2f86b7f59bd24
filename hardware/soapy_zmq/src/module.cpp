// Finding and making devices. SOAPY_ZMQ_DEVICES names devices for programs that take no arguments:
//   SOAPY_ZMQ_DEVICES="serial=bob,rx=ipc://@bob,tx=none|serial=eve,rx=ipc://@eve,tx=none"
#include "device.hpp"

#include <SoapySDR/Registry.hpp>

#include <cstdlib>

namespace {

using SoapySDR::Kwargs;
using SoapySDR::KwargsList;

KwargsList named()
{
    KwargsList list;
    const char *text = std::getenv("SOAPY_ZMQ_DEVICES");
    const std::string all = text ? text : "";
    for (size_t from = 0; from < all.size();) {
        const size_t to = std::min(all.find('|', from), all.size());
        const Kwargs one = SoapySDR::KwargsFromString(all.substr(from, to - from));
        if (!one.empty()) list.push_back(one);
        from = to + 1;
    }
    if (list.empty()) list.push_back({});
    return list;
}

KwargsList find(const Kwargs &given)
{
    const bool asked = given.count("driver") != 0;
    for (const auto &one : given) // somebody else's argument: not our device
        if (!asked && !zmqradio::isDeviceArgument(one.first) && !zmqradio::Settings::has(one.first)) return {};
    KwargsList found;
    const KwargsList all = named();
    const auto full = [&](Kwargs device) {
        // All arguments belong to what is found: SoapySDR takes devices that look the same for one.
        for (const auto &one : given) device[one.first] = one.second;
        device["driver"] = "zmq";
        if (!device.count("serial")) device["serial"] = "zmq0";
        if (!device.count("label")) device["label"] = "ZMQ virtual radio " + device["serial"];
        return device;
    };
    const auto wanted = given.find("serial");
    for (const Kwargs &one : all) {
        const auto own = one.find("serial");
        const std::string serial = own == one.end() ? "zmq0" : own->second;
        if (wanted == given.end() || wanted->second == serial) found.push_back(full(one));
    }
    if (found.empty() && asked) found.push_back(full({}));
    return found;
}

SoapySDR::Device *make(const Kwargs &args) { return new zmqradio::ZmqDevice(args); }

const SoapySDR::Registry registration("zmq", &find, &make, SOAPY_SDR_ABI_VERSION);

} // namespace
