//! A packet program that chooses among the sockets of one address by what a datagram says (`SO_ATTACH_REUSEPORT_CBPF`).

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A datagram shorter than this is left to the kernel's own hash, of addresses and ports.
pub const STEERED_OCTETS_MIN: u32 = 256;

/// The octets that are hashed: behind the start line's method and most of the Request-URI, where the top Via's branch
/// and, as a rule, tag and Call-ID stand. A load past a datagram's end would put it on socket 0, hence the minimum.
pub const STEERED_OCTETS: std::ops::Range<u32> = 64..192;

const _: () =
    assert!(STEERED_OCTETS.end <= STEERED_OCTETS_MIN && STEERED_OCTETS.start.is_multiple_of(4));
const _: () = assert!((STEERED_OCTETS.end - STEERED_OCTETS.start).is_multiple_of(4));

/// An index beyond any group: the kernel falls back to its own hash.
const NO_SOCKET: u32 = u32::MAX;

/// Lets the group that `socket` belongs to share datagrams by their octets: those of one length and text always reach
/// the same socket. `sockets` is the size of the group, at least 1.
///
/// # Errors
/// The socket is not bound with others, or the kernel (older than 4.5) knows no such program.
pub fn steer_by_payload(socket: BorrowedFd<'_>, sockets: u32) -> io::Result<()> {
    let mut program = program(sockets);
    let length = u16::try_from(program.len()).unwrap_or(u16::MAX);
    let filter = libc::sock_fprog {
        len: length,
        filter: program.as_mut_ptr(),
    };
    let size = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).unwrap_or(0);
    // SAFETY: setsockopt(2) reads one sock_fprog at the pointer, and `len` instructions where it points; both are live
    // until the call is over, and the kernel keeps a copy of its own.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const filter).cast(),
            size,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

fn instruction(code: u32, jump_false: u8, operand: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt: 0,
        jf: jump_false,
        k: operand,
    }
}

/// The program: accumulator A, index X and one cell of memory. About 180 instructions; the kernel compiles them.
fn program(sockets: u32) -> Vec<libc::sock_filter> {
    const MULTIPLY: u32 = libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K;
    const XOR_X: u32 = libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X;
    const TAX: u32 = libc::BPF_MISC | libc::BPF_TAX;
    let mut program = vec![
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0, 0),
        // At least the minimum: over the next one.
        libc::sock_filter {
            jt: 1,
            ..instruction(
                libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K,
                0,
                STEERED_OCTETS_MIN,
            )
        },
        instruction(libc::BPF_RET | libc::BPF_K, 0, NO_SOCKET),
        instruction(libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM, 0, 0),
    ];
    // X = (X ^ word) * odd, one to one in every word, so that no difference between two datagrams is lost on its own.
    for offset in STEERED_OCTETS.step_by(4) {
        program.extend([
            instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset),
            instruction(XOR_X, 0, 0),
            instruction(MULTIPLY, 0, 0x9e37_79b1),
            instruction(TAX, 0, 0),
        ]);
    }
    // A is X. The last steps of MurmurHash3: without them the low bits would know only the low bits of each word.
    for (shift, factor) in [(16, Some(0x85eb_ca6b)), (13, Some(0xc2b2_ae35)), (16, None)] {
        program.extend([
            instruction(TAX, 0, 0),
            instruction(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 0, shift),
            instruction(XOR_X, 0, 0),
        ]);
        program.extend(factor.map(|factor| instruction(MULTIPLY, 0, factor)));
    }
    program.extend([
        instruction(
            libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K,
            0,
            sockets.max(1),
        ),
        instruction(libc::BPF_RET | libc::BPF_A, 0, 0),
    ]);
    program
}
