"""cocotb bench of SimulatedUart on a board that sends back every byte, plus one."""

import cocotb
from cocotb.task import bridge

from sim.bench.streams import parameters, start
from sim.bench.uart import SimulatedUart


@cocotb.test()
async def answers_blocking_code(dut):
    p = parameters()
    uart = SimulatedUart(dut, p["divisor"], timeout=p["timeout"])
    await start(dut)

    def host():
        data = bytes(range(250, 256)) + bytes(range(4))
        uart.write(data)
        answer = uart.read(len(data), 1.0)
        nothing = uart.read(1, 1.0)
        uart.write(b"\x41")
        some = uart.read(2, 1.0)
        uart.close()
        return data, answer, nothing, some

    data, answer, nothing, some = await bridge(host)()
    assert answer == bytes((byte + 1) % 256 for byte in data)
    assert nothing == b""
    assert some == b"\x42"
