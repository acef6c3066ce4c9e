// What the processing elements of an engine do: cycles busy and stalled, by bins of time and by
// instruction. sim/utilisation.py names the signals and reads the words.

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "verilated.h"
#include "verilated_syms.h"

class Utilisation {
  public:
    // Names: of sequencer.busy, .feed_start and .layer; then of a register for each group with the
    // busy flags of its lanes, and as many with the stalled flags. `lanes` are those of a group.
    Utilisation(const VerilatedContext &context, uint32_t lanes, char **names, uint32_t count)
        : lanes_{lanes} {
        for (uint32_t n = 0; n < count; ++n) signals_.push_back(find(context, names[n]));
        flags_ = (count - kControls) * lanes;
        late_.assign(kLate, std::vector<uint8_t>(flags_));
        bins_.assign(flags_, 0);
    }

    // At the end of clock cycle `now`. Time is counted in cycles in which the engine is busy.
    void sample(uint64_t now) {
        if (!bit(0, 0)) {
            if (running_) late_.assign(kLate, std::vector<uint8_t>(flags_));  // after an abort
            running_ = false;
            return;
        }
        running_ = true;
        if (!cycles_) began_ = now;
        if (bit(1, 0)) begin(*signals_[2]);
        if (cycles_ == width_ * (bins_.size() / flags_)) extend();
        uint32_t *bin = &bins_[bins_.size() - flags_];
        std::vector<uint8_t> &late = late_[cycles_ % kLate];
        for (uint32_t n = 0; n < flags_; ++n) {
            bin[n] += late[n];
            if (!starts_.empty()) layers_[layer_][n] += late[n];
            late[n] = bit(kControls + n / lanes_, n % lanes_);
        }
        ++cycles_;
    }

    // Lengths, bins, instructions, starts: see sim/utilisation.py.
    std::vector<uint32_t> words() const {
        const uint32_t bins = bins_.size() / flags_, starts = starts_.size() / 2;
        const uint32_t layers = layers_.size();
        std::vector<uint32_t> words{cycles_, width_, began_, bins, layers, starts};
        words.insert(words.end(), bins_.begin(), bins_.end());
        for (const auto &layer : layers_) words.insert(words.end(), layer.begin(), layer.end());
        words.insert(words.end(), starts_.begin(), starts_.end());
        return words;
    }

  private:
    static constexpr uint32_t kControls = 3;
    // The flags are registers that lie two cycles before the counters of layers: they count what
    // the flags were then, and so does this.
    static constexpr uint32_t kLate = 2;
    // With more bins than these, two neighbours become one.
    static constexpr uint32_t kBinsMax = 2048;

    static const uint8_t *find(const VerilatedContext &context, const std::string &name) {
        const size_t dot = name.rfind('.');
        const VerilatedScope *scope = context.scopeFind(name.substr(0, dot).c_str());
        const VerilatedVar *found = scope ? scope->varFind(name.substr(dot + 1).c_str()) : nullptr;
        if (!found) {
            std::fprintf(stderr, "there is no signal %s to watch\n", name.c_str());
            std::exit(1);
        }
        return static_cast<const uint8_t *>(found->datap());
    }

    uint8_t bit(uint32_t signal, uint32_t place) const {
        return signals_[signal][place / 8] >> place % 8 & 1;
    }

    void begin(uint32_t layer) {
        layer_ = layer;
        if (layers_.size() <= layer) layers_.resize(layer + 1, std::vector<uint32_t>(flags_));
        starts_.push_back(cycles_);
        starts_.push_back(layer);
    }

    void extend() {
        if (bins_.size() / flags_ == kBinsMax) {
            for (size_t n = 0; n < bins_.size() / 2; ++n) {
                const size_t first = n / flags_ * 2 * flags_ + n % flags_;
                bins_[n] = bins_[first] + bins_[first + flags_];
            }
            bins_.resize(bins_.size() / 2);
            width_ *= 2;
        }
        bins_.resize(bins_.size() + flags_, 0);
    }

    bool running_ = false;
    uint32_t lanes_, flags_ = 0, cycles_ = 0, width_ = 1, layer_ = 0, began_ = 0;
    std::vector<const uint8_t *> signals_;
    std::vector<std::vector<uint8_t>> late_;
    std::vector<uint32_t> bins_;
    std::vector<std::vector<uint32_t>> layers_;
    std::vector<uint32_t> starts_;
};
