//! From the token of an event to the resource that it is about.
//!
//! Any thread may register and deregister, but only the driver looks tokens up, for every event. So
//! the table belongs to the driver alone and needs no lock; what comes and goes is left in the
//! [`Mailbox`], which the driver empties when it meets a token that it does not know, or when there
//! are slots to free.
//!
//! A slot is freed only there, in the driver's own turn, and its next token has another generation:
//! an event of a resource that is gone finds no entry and is ignored.

use std::{io, mem};

use super::readiness::Readiness;
use crate::primitives::Arc;

/// Names a registered resource.
/// ```text
/// ┌─ shard ─┬─ generation ─┬─ slot index ─┐
/// ```
/// The shard says which driver of several it belongs to. There is one, number 0, so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(usize);

const INDEX_BITS: u32 = if usize::BITS < 64 { 20 } else { 32 };
const SHARD_BITS: u32 = if usize::BITS < 64 { 4 } else { 8 };
const GENERATION_BITS: u32 = usize::BITS - SHARD_BITS - INDEX_BITS;

const MAX_INDEX: usize = (1 << INDEX_BITS) - 1;
const ONE_GENERATION: usize = 1 << INDEX_BITS;
const SHARD: usize = ((1 << SHARD_BITS) - 1) << (GENERATION_BITS + INDEX_BITS);

impl Token {
    /// The driver's own waker: of the last shard, which no resource is ever in.
    pub(super) const WAKER: Self = Self(usize::MAX);

    fn first(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0 & MAX_INDEX
    }

    /// The token of the slot's next resource.
    fn next(self) -> Self {
        let shard = self.0 & SHARD;
        Self(shard | (self.0.wrapping_add(ONE_GENERATION) & !SHARD))
    }
}

impl From<Token> for mio::Token {
    fn from(token: Token) -> Self {
        Self(token.0)
    }
}

impl From<mio::Token> for Token {
    fn from(token: mio::Token) -> Self {
        Self(token.0)
    }
}

/// What the driver has not seen yet, and which tokens are free. Behind a lock.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    arrived: Vec<(Token, Arc<Readiness>)>,
    departed: Vec<Token>,
    free: Vec<Token>,
    /// How many slots were ever used.
    used: usize,
    closed: bool,
}

impl Mailbox {
    /// Gives a resource its token.
    pub(super) fn arrive(&mut self, readiness: Arc<Readiness>) -> io::Result<Token> {
        if self.closed {
            return Err(super::shutting_down());
        }
        let token = match self.free.pop() {
            Some(token) => token,
            None if self.used <= MAX_INDEX => {
                self.used += 1;
                Token::first(self.used - 1)
            }
            None => return Err(io::Error::other("too many I/O resources for one runtime")),
        };
        self.arrived.push((token, readiness));
        Ok(token)
    }

    /// Gives a token back, and tells how many now wait for the driver to free them.
    pub(super) fn depart(&mut self, token: Token) -> usize {
        if !self.closed {
            self.departed.push(token);
        }
        self.departed.len()
    }

    /// Makes every further arrival an error.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// How many resources are registered.
    pub(super) fn registered(&self) -> usize {
        self.used - self.free.len() - self.departed.len()
    }
}

/// The driver's table of resources.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Option<(Token, Arc<Readiness>)>>,
}

impl Table {
    /// The resource of a token, if the driver has heard of it and it is not gone.
    pub(super) fn get(&self, token: Token) -> Option<&Arc<Readiness>> {
        match self.entries.get(token.index()) {
            Some(Some((entry, readiness))) if *entry == token => Some(readiness),
            _ => None,
        }
    }

    /// Takes over what arrived and frees what departed. Returns the freed resources, to be dropped
    /// when the lock of the mailbox is not held.
    #[must_use = "to be dropped without the lock"]
    pub(super) fn settle(&mut self, mailbox: &mut Mailbox) -> Vec<Arc<Readiness>> {
        for (token, readiness) in mailbox.arrived.drain(..) {
            let index = token.index();
            if index >= self.entries.len() {
                self.entries.resize_with(index + 1, || None);
            }
            self.entries[index] = Some((token, readiness));
        }
        // An arrival is taken over before its departure, so every departed token has its entry.
        let mut freed = Vec::with_capacity(mailbox.departed.len());
        for token in mailbox.departed.drain(..) {
            freed.extend(self.entries[token.index()].take().map(|(_, readiness)| readiness));
            mailbox.free.push(token.next());
        }
        freed
    }

    /// Removes and returns everything.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Arc<Readiness>> {
        mem::take(&mut self.entries).into_iter().flatten().map(|(_, readiness)| readiness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(mailbox: &mut Mailbox) -> Token {
        mailbox.arrive(Arc::new(Readiness::new())).unwrap()
    }

    #[test]
    fn a_token_outlives_neither_its_resource_nor_its_slot() {
        let (mut mailbox, mut table) = (Mailbox::default(), Table::default());
        let first = arrive(&mut mailbox);
        assert!(table.get(first).is_none(), "the driver has not looked yet");
        assert!(table.settle(&mut mailbox).is_empty());
        assert!(table.get(first).is_some());

        mailbox.depart(first);
        assert_eq!(mailbox.registered(), 0);
        let other = arrive(&mut mailbox);
        assert_ne!(first.index(), other.index(), "freed only in the driver's turn");
        assert_eq!(table.settle(&mut mailbox).len(), 1);

        let second = arrive(&mut mailbox);
        drop(table.settle(&mut mailbox));
        assert_eq!(first.index(), second.index());
        assert!(table.get(second).is_some());
        assert!(table.get(first).is_none(), "an event of the former resource");
        assert_eq!(mailbox.registered(), 2);
    }

    #[test]
    fn come_and_gone_between_two_turns() {
        let (mut mailbox, mut table) = (Mailbox::default(), Table::default());
        let token = arrive(&mut mailbox);
        mailbox.depart(token);
        assert_eq!(table.settle(&mut mailbox).len(), 1);
        assert!(table.get(token).is_none());
    }

    #[test]
    fn generations_wrap_within_their_bits() {
        let mut token = Token::first(7);
        for _ in 0..=(1 << GENERATION_BITS.min(16)) {
            token = token.next();
            assert_eq!(token.index(), 7);
            assert_eq!(token.0 & SHARD, 0);
        }
        let last = Token(!SHARD);
        assert_eq!(last.next(), Token(MAX_INDEX), "the generation starts again, the shard stays");
    }
}
