// Main loop of a virtual board: a Verilated board whose UART leads to a pseudo-terminal and to a TCP
// port. sim/board.py is the other end.
//
// Time passes for the board as fast as the simulation goes, and stands still while it has nothing
// to do. The program ends when its standard input does, so it does not outlive its parent.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <random>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "Vtop.h"
#include "verilated.h"

namespace {

// The engine is at rest so many cycles after it was busy, or asked for something: nothing in it
// changes any more.
constexpr uint32_t kBusyCycles = 64;
constexpr uint32_t kAskedCycles = 12;
// Cycles between two looks at the ports.
constexpr uint32_t kSlice = 1024;
// Bytes that wait for the line: few, so that whoever writes more has to wait, as at a real port.
constexpr size_t kWaiting = 64;
// Bytes that wait for the host; what comes beyond is lost, as where nobody reads a real port.
constexpr size_t kHeard = 1 << 16;
// After so much silence, in seconds of the board, nothing waits for time to pass: twice what the
// bridge takes to forget a command.
constexpr double kSilence = 0.2;
constexpr uint32_t kResetCycles = 16;

using Bytes = std::deque<uint8_t>;

class Design {
  public:
    Design() : top_{&context_} {
        top_.rx = 1;
        top_.rst = 1;
        for (uint32_t n = 0; n < kResetCycles; ++n) {
            awake_ = kBusyCycles;
            cycle(true);
        }
        top_.rst = 0;
    }

    ~Design() { top_.final(); }

    // One clock cycle; returns the level of tx in it.
    bool cycle(bool rx) {
        top_.clk = 0;
        top_.engine_clk = 0;
        top_.rx = rx;
        top_.eval();
        if (top_.busy) awake_ = kBusyCycles;
        if (top_.asked) awake_ = std::max(awake_, kAskedCycles);
        const bool tx = top_.tx;
        top_.clk = 1;
        top_.engine_clk = awake_ > 0;
        top_.eval();
        if (awake_) --awake_;
        return tx;
    }

    bool asleep() const { return !awake_; }

  private:
    VerilatedContext context_;
    Vtop top_;
    uint32_t awake_ = 0;
};

// Loses, doubles or changes one byte in so many; none if that is 0.
class Noise {
  public:
    Noise(uint32_t one_in, uint32_t seed) : one_in_{one_in}, dice_{seed} {}

    void pass(uint8_t byte, Bytes &to) {
        const bool hit = one_in_ && dice_() % one_in_ == 0;
        const uint32_t kind = hit ? dice_() % 3 : 0;
        if (hit && kind == 0) return;
        if (hit && kind == 1) to.push_back(byte);
        if (hit && kind == 2) byte ^= 1 << dice_() % 8;
        to.push_back(byte);
    }

  private:
    uint32_t one_in_;
    std::mt19937 dice_;
};

// The host's UART: 8 data bits, no parity, one stop bit. A bit is clock_hz / baud cycles, which need
// not be a whole number.
class Uart {
  public:
    Uart(uint32_t clock_hz, uint32_t baud) : clock_hz_{clock_hz}, baud_{baud} {}

    Bytes to_board, from_board;

    // The line to the board in this cycle.
    bool level() {
        if (!left_ && !to_board.empty()) {
            frame_ = to_board.front() << 1 | 0x200;
            to_board.pop_front();
            left_ = 10;
            sent_ = 0;
        }
        return left_ ? frame_ & 1 : true;
    }

    // The cycle is over; `tx` was the line from the board.
    void tick(bool tx) {
        if (left_ && next(sent_)) {
            frame_ >>= 1;
            --left_;
        }
        if (!place_) {
            if (tx) return;
            place_ = 1;
            heard_ = clock_hz_ / 2;
        } else if (next(heard_)) {
            sample(tx);
        }
    }

    bool quiet() const { return !left_ && to_board.empty() && !place_; }

  private:
    bool next(uint64_t &phase) const {
        phase += baud_;
        if (phase < clock_hz_) return false;
        phase -= clock_hz_;
        return true;
    }

    // The middle of a bit: `place_` 1 is the start bit, 2 to 9 are data, 10 is the stop bit.
    void sample(bool tx) {
        if (place_ == 1 && tx) {
            place_ = 0;  // noise
        } else if (place_ == 10) {
            if (tx) from_board.push_back(byte_);
            place_ = 0;
        } else {
            byte_ = byte_ >> 1 | tx << 7;
            ++place_;
        }
    }

    const uint64_t clock_hz_, baud_;
    uint64_t sent_ = 0, heard_ = 0;
    uint32_t frame_ = 0, left_ = 0, place_ = 0;
    uint8_t byte_ = 0;
};

// Where host programs come: a terminal, which is always there, and one TCP connection at a time.
// What the board says goes to the one that spoke last. Once a connection is over, what was for it is
// lost, unless another program speaks before the board has said it.
class Ports {
  public:
    Ports(int terminal, int listener) : terminal_{terminal}, listener_{listener} {
        for (int fd : {terminal_, listener_}) unblock(fd);
    }

    // Takes bytes of the hosts if `room`, and hands over what is for them; waits for something to
    // happen if `wait`. False when it is time to end.
    bool exchange(bool room, bool wait, Bytes &from_hosts, Bytes &to_host) {
        const short hear = room ? POLLIN : 0;
        const short say = to_host.empty() ? 0 : POLLOUT;
        const bool at_client = client_ >= 0 && speaker_ == client_;
        pollfd fds[] = {
            {STDIN_FILENO, POLLIN, 0},
            {listener_, POLLIN, 0},
            {terminal_, static_cast<short>(hear | (at_client ? 0 : say)), 0},
            {client_, static_cast<short>(hear | (at_client ? say : 0)), 0},
        };
        if (poll(fds, 4, wait ? -1 : 0) < 0 && errno != EINTR) fail("poll");
        if (fds[0].revents) return false;
        if (fds[2].revents & POLLIN) take(terminal_, from_hosts);
        if (client_ >= 0 && fds[3].revents & (POLLIN | POLLHUP | POLLERR)) {
            if (!take(client_, from_hosts)) hang_up(to_host);
        }
        if (fds[1].revents & POLLIN) welcome();
        give(to_host);
        return true;
    }

  private:
    static void fail(const char *what) {
        std::perror(what);
        std::exit(1);
    }

    static void unblock(int fd) {
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) fail("fcntl");
    }

    bool take(int fd, Bytes &bytes) {
        uint8_t buffer[kWaiting];
        const ssize_t size = read(fd, buffer, sizeof buffer);
        if (size < 0) return errno == EAGAIN || errno == EINTR;
        if (size) speaker_ = fd;
        bytes.insert(bytes.end(), buffer, buffer + size);
        return size;
    }

    void give(Bytes &bytes) {
        while (!bytes.empty()) {
            const uint8_t byte = bytes.front();
            if (speaker_ == client_ && client_ >= 0) {
                if (send(client_, &byte, 1, MSG_NOSIGNAL) != 1) return;
            } else if (speaker_ == terminal_) {
                if (write(terminal_, &byte, 1) != 1) return;
            }
            bytes.pop_front();
        }
    }

    void welcome() {
        const int fd = accept(listener_, nullptr, nullptr);
        if (fd < 0) return;
        if (client_ >= 0) {
            close(fd);
            return;
        }
        client_ = fd;
        unblock(fd);
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }

    void hang_up(Bytes &to_host) {
        close(client_);
        if (speaker_ == client_) {
            speaker_ = kNobody;
            to_host.clear();
        }
        client_ = -1;
    }

    static constexpr int kNobody = -1;

    const int terminal_, listener_;
    int client_ = -1, speaker_ = kNobody;
};

struct Options {
    int terminal, listener;
    uint32_t clock_hz, baud, spoiled, seed;
};

void serve(const Options &options) {
    Design design;
    Uart uart{options.clock_hz, options.baud};
    Ports ports{options.terminal, options.listener};
    Noise there{options.spoiled, options.seed}, back{options.spoiled, ~options.seed};
    Bytes said, heard;
    const uint64_t silence = options.clock_hz * kSilence;
    uint64_t quiet = 0;
    for (;;) {
        const bool room = uart.to_board.size() < kWaiting;
        const bool wait = quiet >= silence && design.asleep() && heard.empty();
        if (!ports.exchange(room, wait, said, heard)) return;
        for (; !said.empty(); said.pop_front()) there.pass(said.front(), uart.to_board);
        for (uint32_t n = 0; n < kSlice; ++n) {
            uart.tick(design.cycle(uart.level()));
            quiet = uart.quiet() ? quiet + 1 : 0;
        }
        for (; !uart.from_board.empty(); uart.from_board.pop_front()) {
            if (heard.size() < kHeard) back.pass(uart.from_board.front(), heard);
        }
    }
}

}  // namespace

// Asked for by deep memories (sim/deep_memory.sv), whose words come over the bus alone here.
extern "C" int ready_words() { return 0; }

extern "C" int ready_word(int) { return 0; }

int main(int argc, char **argv) {
    if (argc != 7) {
        std::fprintf(stderr, "started by sim/board.py\n");
        return 2;
    }
    uint32_t numbers[6];
    for (int n = 0; n < 6; ++n) numbers[n] = std::strtoul(argv[n + 1], nullptr, 10);
    serve({static_cast<int>(numbers[0]), static_cast<int>(numbers[1]), numbers[2], numbers[3],
           numbers[4], numbers[5]});
    return 0;
}
