//! Just enough of the x86-64 encoding (Intel's manual, volume 2) to know an atomic when it comes.

/// What an instruction does to others' caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A locked instruction, or an exchange with memory, which is always locked.
    Rmw,
    /// `mfence`, or the locked no-op on the stack that is used in its place.
    Fence,
    /// Anything else.
    Plain,
}

const LOCK: u8 = 0xF0;

/// Looks at the bytes from an instruction's first on.
pub(crate) fn kind(code: &[u8]) -> Kind {
    let is_prefix =
        |byte: &u8| matches!(byte, 0x26 | 0x2E | 0x36 | 0x3E | 0x64..=0x67 | 0xF2 | 0xF3 | &LOCK);
    let prefixes = code.iter().take_while(|byte| is_prefix(byte)).count();
    let locked = code[..prefixes].contains(&LOCK);
    let mut rest = &code[prefixes..];
    if let [0x40..=0x4F, after @ ..] = rest {
        rest = after;
    }
    match *rest {
        [0x0F, 0xAE, 0xF0, ..] => Kind::Fence,
        // `or`, immediate, with the stack pointer as the base: nobody else looks there.
        [0x83, modrm, sib, ..] if locked && modrm & 0x3F == 0x0C && sib & 7 == 4 => Kind::Fence,
        _ if locked => Kind::Rmw,
        // `xchg`, unless both operands are registers.
        [0x86 | 0x87, modrm, ..] if modrm >> 6 != 3 => Kind::Rmw,
        _ => Kind::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atomics_are_told_from_the_rest() {
        let cases: [(&[u8], Kind); 8] = [
            (&[0xF0, 0x48, 0x0F, 0xB1, 0x0F], Kind::Rmw), // lock cmpxchg [rdi], rcx
            (&[0xF0, 0x48, 0x0F, 0xC1, 0x07], Kind::Rmw), // lock xadd [rdi], rax
            (&[0x48, 0x87, 0x07], Kind::Rmw),             // xchg [rdi], rax
            (&[0x87, 0xC1], Kind::Plain),                 // xchg ecx, eax
            (&[0x0F, 0xAE, 0xF0], Kind::Fence),           // mfence
            (&[0xF0, 0x83, 0x4C, 0x24, 0xC0, 0x00], Kind::Fence), // lock or dword [rsp - 64], 0
            (&[0xF0, 0x83, 0x0F, 0x01], Kind::Rmw),       // lock or dword [rdi], 1
            (&[0x48, 0x89, 0xC7], Kind::Plain),           // mov rdi, rax
        ];
        for (code, expected) in cases {
            assert_eq!(kind(code), expected, "{code:x?}");
        }
    }
}
