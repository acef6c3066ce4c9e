// Main loop of a Verilated design: a server of bus transfers on standard input and output.
//
// A request is five 32-bit words, a reply is four, all little-endian; sim/verilated.py is the other
// end. The server ends when its standard input does, so it never outlives its client for long.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include "Vtop.h"
#include "utilisation.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Waves = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using Waves = VerilatedVcdC;
#endif

namespace {

enum Operation : uint32_t { kWrite = 1, kRead = 2, kPoll = 3, kIdle = 4, kReset = 5, kWatched = 6, kShow = 7 };
// How words are written: to one address; the way round the bus where there is one.
enum Writing : uint32_t { kFixed = 1, kFast = 2 };
enum Status : uint32_t { kDone = 0, kNoAcknowledge = 1 };

// A target that takes longer than this to acknowledge never will.
constexpr uint32_t kAcknowledgeCycles = 100000;
// Cycles between the reads of a poll: often enough to see the end of a run soon, seldom enough not
// to slow the simulation down.
constexpr uint32_t kPollCycles = 32;
// A memory takes a word within so many cycles from its acknowledge.
constexpr uint32_t kWriteCycles = 16;

struct Request {
    uint32_t operation, a, b, c, d;
};

struct Reply {
    uint32_t status, value;
    uint64_t cycles;
};

// Words behind the one that is being written, for a deep memory to take (sim/deep_memory.sv).
struct Ready {
    const uint32_t *words = nullptr;
    uint32_t count = 0;
    bool taken = false;
} ready;

class Design {
  public:
    explicit Design(const std::string &trace) : top_{&context_} {
#if VM_TRACE
        if (!trace.empty()) {
            context_.traceEverOn(true);
            waves_ = std::make_unique<Waves>();
            waves_->set_time_unit("1ns");
            waves_->set_time_resolution("1ns");
            top_.trace(waves_.get(), 99);
            waves_->open(trace.c_str());
            if (!waves_->isOpen()) {
                std::fprintf(stderr, "cannot write waves to %s\n", trace.c_str());
                std::exit(1);
            }
        }
#else
        (void)trace;
#endif
    }

    ~Design() {
        top_.final();
#if VM_TRACE
        if (waves_) waves_->close();
#endif
    }

    // `names` as Utilisation takes them.
    void watch(uint32_t lanes, char **names, uint32_t count) {
        utilisation_ = std::make_unique<Utilisation>(context_, lanes, names, count);
    }

    std::vector<uint32_t> watched() const {
        return utilisation_ ? utilisation_->words() : std::vector<uint32_t>{};
    }

    // Whether waves are written from now on.
    void show(bool shown) { shown_ = shown; }

    uint64_t cycles() const { return cycles_; }

    void idle(uint32_t cycles) {
        while (cycles--) {
            settle();
            edge();
        }
    }

    void reset(uint32_t cycles) {
        top_.rst = 1;
        idle(cycles);
        top_.rst = 0;
    }

    // One transfer; `word` is written, or takes what was read. False if there is no acknowledge.
    // Verilator writes the two underscores of a port name as _ and ___05F.
    bool transfer(bool write, uint32_t address, uint32_t &word) {
        top_.bus___05Frequest = 1;
        top_.bus___05Fwrite = write;
        top_.bus___05Faddress = address;
        top_.bus___05Fw_data = word;
        bool acknowledged = false;
        for (uint32_t n = 0; n < kAcknowledgeCycles && !acknowledged; ++n) {
            settle();
            acknowledged = top_.bus___05Facknowledge;
            word = top_.bus___05Fr_data;
            edge();
        }
        top_.bus___05Frequest = 0;
        return acknowledged;
    }

  private:
    void settle() {
        top_.clk = 0;
        top_.eval();
        dump();
    }

    void edge() {
        if (utilisation_) utilisation_->sample(cycles_);
        top_.clk = 1;
        top_.eval();
        dump();
        ++cycles_;
    }

    void dump() {
#if VM_TRACE
        if (waves_ && shown_) waves_->dump(context_.time());
        context_.timeInc(5);
#endif
    }

    VerilatedContext context_;
    Vtop top_;
    uint64_t cycles_ = 0;
    bool shown_ = true;
    std::unique_ptr<Utilisation> utilisation_;
#if VM_TRACE
    std::unique_ptr<Waves> waves_;
#endif
};

// Fails with the address of the transfer that was not acknowledged.
bool write(Design &design, const Request &request, const std::vector<uint32_t> &words,
           uint32_t &value) {
    const bool fixed = request.c & kFixed;
    uint32_t written = 0;
    if (request.c & kFast && request.b > 1) {
        ready = {words.data() + 1, request.b - 1, false};
        value = request.a;
        uint32_t word = words[0];
        if (!design.transfer(true, value, word)) return false;
        design.idle(kWriteCycles);
        written = ready.taken ? request.b : 1;
        ready = {};
    }
    for (uint32_t n = written; n < request.b; ++n) {
        value = request.a + (fixed ? 0 : n);
        uint32_t word = words[n];
        if (!design.transfer(true, value, word)) return false;
    }
    return true;
}

bool read(Design &design, const Request &request, std::vector<uint32_t> &words, uint32_t &value) {
    for (uint32_t n = 0; n < request.b; ++n) {
        value = request.a + n;
        if (!design.transfer(false, value, words[n])) return false;
    }
    return true;
}

// The value is whether the word matched within so many cycles; it is read once at least.
bool poll(Design &design, const Request &request, uint32_t &value) {
    const uint64_t end = design.cycles() + request.d;
    for (;;) {
        uint32_t word = 0;
        if (!design.transfer(false, request.a, word)) {
            value = request.a;
            return false;
        }
        value = (word & request.b) == request.c;
        if (value || design.cycles() >= end) return true;
        design.idle(kPollCycles);
    }
}

void put(FILE *out, const void *data, size_t size) {
    if (std::fwrite(data, 1, size, out) != size) std::exit(1);
}

void serve(Design &design, FILE *in, FILE *out) {
    Request request;
    while (std::fread(&request, sizeof request, 1, in) == 1) {
        std::vector<uint32_t> words;
        uint32_t value = 0;
        bool done = true;
        switch (request.operation) {
        case kWrite:
            words.resize(request.b);
            if (std::fread(words.data(), sizeof(uint32_t), request.b, in) != request.b) return;
            done = write(design, request, words, value);
            words.clear();
            break;
        case kRead:
            words.resize(request.b);
            done = read(design, request, words, value);
            break;
        case kPoll:
            done = poll(design, request, value);
            break;
        case kIdle:
            design.idle(request.a);
            break;
        case kReset:
            design.reset(request.a);
            break;
        case kShow:
            design.show(request.a);
            break;
        case kWatched:
            words = design.watched();
            value = words.size();
            break;
        default:
            std::fprintf(stderr, "unknown operation %u\n", request.operation);
            std::exit(1);
        }
        const Reply reply{done ? kDone : kNoAcknowledge, value, design.cycles()};
        put(out, &reply, sizeof reply);
        if (done) put(out, words.data(), words.size() * sizeof(uint32_t));
        std::fflush(out);
    }
}

}  // namespace

// What a deep memory asks for when it is written to.
extern "C" int ready_words() {
    ready.taken = true;
    return static_cast<int>(ready.count);
}

extern "C" int ready_word(int place) { return static_cast<int>(ready.words[place]); }

int main(int argc, char **argv) {
    // What the design itself prints must not get into the replies.
    FILE *replies = fdopen(dup(STDOUT_FILENO), "wb");
    dup2(STDERR_FILENO, STDOUT_FILENO);
    // The file of waves, or nothing; the lanes of a group and the names of signals to watch.
    Design design{argc > 1 ? argv[1] : ""};
    if (argc > 3) design.watch(std::atoi(argv[2]), argv + 3, argc - 3);
    serve(design, stdin, replies);
    return 0;
}
