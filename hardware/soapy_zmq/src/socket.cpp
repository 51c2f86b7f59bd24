#include "socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace zmqradio {

namespace {

constexpr int kPackets = 512; // that may wait at each end: two million samples
constexpr std::chrono::milliseconds kReopen(500);
constexpr int kLinger = 200;  // [ms] for the last packets to leave

[[noreturn]] void fail(const std::string &what)
{
    throw std::runtime_error("zmq: " + what + ": " + zmq_strerror(zmq_errno()));
}

// libzmq takes a socket file away from whoever listens there; a receiver that runs must not lose its antenna so.
bool taken(const std::string &endpoint)
{
    const std::string path = endpoint.rfind("ipc://", 0) == 0 ? endpoint.substr(6) : "";
    sockaddr_un address{};
    if (path.empty() || path[0] == '@' || path.size() >= sizeof address.sun_path) return false;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    const bool answered = connect(probe, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
    close(probe);
    return answered;
}

} // namespace

Context::Context() : handle(zmq_ctx_new())
{
    if (!handle) fail("no context");
}

Context::~Context() { zmq_ctx_term(handle); }

Socket::Socket(Context &context, int type, const std::string &endpoint) : handle(zmq_socket(context.handle, type))
{
    if (!handle) fail(endpoint);
    const int hwm = kPackets, linger = kLinger, again = 20, most = 200, immediate = 1;
    zmq_setsockopt(handle, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(handle, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(handle, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(handle, ZMQ_RECONNECT_IVL, &again, sizeof again);
    zmq_setsockopt(handle, ZMQ_RECONNECT_IVL_MAX, &most, sizeof most);
    zmq_setsockopt(handle, ZMQ_IMMEDIATE, &immediate, sizeof immediate); // nobody there: lost in the air, not kept
}

Socket Socket::pull(Context &context, const std::string &endpoint)
{
    // ZMQ lets go of an endpoint a little after its socket was closed: a receiver that is opened again waits for that.
    const auto until = std::chrono::steady_clock::now() + kReopen;
    for (;;) {
        Socket made(context, ZMQ_PULL, endpoint);
        const bool other = taken(endpoint);
        if (!other && zmq_bind(made.handle, endpoint.c_str()) == 0) return made;
        if (other) errno = EADDRINUSE;
        if (zmq_errno() != EADDRINUSE || std::chrono::steady_clock::now() > until)
            fail("rx=" + endpoint + (other ? ": another receiver listens there" : ": cannot listen there") +
                 "; give this one an endpoint of its own");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

Socket Socket::push(Context &context, const std::string &endpoint)
{
    Socket made(context, ZMQ_PUSH, endpoint);
    if (zmq_connect(made.handle, endpoint.c_str())) fail("tx=" + endpoint + ": cannot connect");
    return made;
}

Socket::~Socket()
{
    if (handle) zmq_close(handle);
}

std::vector<std::string> endpoints(const std::string &key, const std::string &list)
{
    std::vector<std::string> found;
    if (list == "none") return found;
    for (size_t from = 0; from <= list.size();) {
        size_t to = list.find(';', from);
        if (to == std::string::npos) to = list.size();
        const std::string one = list.substr(from, to - from);
        if (one.rfind("tcp://", 0) == 0 || one.rfind("ipc://", 0) == 0)
            found.push_back(one);
        else if (!one.empty())
            throw std::invalid_argument("zmq: " + key + ": endpoints begin with tcp:// or ipc://; got '" + one + "'");
        from = to + 1;
    }
    return found;
}

} // namespace zmqradio
