//! Unique reactors: a mergeable HyperLogLog sketch whose estimate depends on the set of users alone.
//!
//! Why not a ready one: the estimate has to be the same in whatever order users came, were merged or went through a
//! snapshot. The usual library estimator (HIP) depends on that order, its register-only one has to be asked for at
//! each place, and it hashes every value itself, which costs a second hash per reaction. What is needed is this small.

use emostream_protocol::{
    DecodeError, ReactionId,
    codec::{Reader, Writer},
};
use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

/// Bits of a register's number: 2,048 registers of one byte.
const PRECISION: u32 = 11;
const REGISTERS: usize = 1 << PRECISION;

/// Relative standard error of an estimate beyond [`EXACT_MAX`] users: 1.04 ÷ √2048.
pub const RELATIVE_ERROR: f64 = 0.023;

/// Up to this many users are counted exactly, but for pairs whose 32-bit tokens collide (fewer than one set of this
/// size in 5,000 is off, by one). Beyond, a token list would be larger than half the registers.
pub const EXACT_MAX: usize = 256;

/// Bits of a token that choose the register; the rest of its 32 bits is the rank.
const KEY_BITS: u32 = 26;
/// Hash bits from which the rank is counted: what the key leaves of 64.
const RANK_BITS: u32 = 64 - KEY_BITS;
const RANK_MAX: u8 = RANK_BITS as u8 + 1;

/// Fixed for good: sketches of different nodes and releases must merge.
const SECRETS: RapidSecrets = RapidSecrets::seed_cpp(0x656d_6f73_7472_6561);

/// A user as a sketch sees one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reactor(u32);

/// A set of users, estimated.
#[derive(Debug, Clone)]
pub struct Sketch(State);

#[derive(Debug, Clone)]
enum State {
    /// Tokens, perhaps repeated and unordered; at most [`EXACT_MAX`] different ones after [`Sketch::settle`].
    Sparse(Vec<u32>),
    /// Highest rank per register. Only for sets of more than [`EXACT_MAX`] tokens.
    Dense(Box<[u8; REGISTERS]>),
}

impl Reactor {
    /// The reactor of a reaction: its user, or, when nobody knows who tapped, one of its own made from the id.
    #[inline]
    pub fn of(user: &[u8], id: &ReactionId) -> Self {
        let bytes = if user.is_empty() { &id.as_bytes()[..] } else { user };
        Self::from_hash(rapidhash_v3_seeded(bytes, &SECRETS))
    }

    #[inline]
    fn from_hash(hash: u64) -> Self {
        let key = (hash & ((1 << KEY_BITS) - 1)) as u32;
        // The added bit ends the run of zeros, so that the rank stays within its 38 bits.
        let rank = (((hash >> KEY_BITS) << KEY_BITS) | (1 << (KEY_BITS - 1))).leading_zeros() + 1;
        Self((rank << KEY_BITS) | key)
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self(State::Sparse(Vec::new()))
    }
}

impl Sketch {
    /// Adds a user. Adding one again changes nothing.
    #[inline]
    pub fn insert(&mut self, reactor: Reactor) {
        match &mut self.0 {
            State::Dense(registers) => raise(registers, reactor.0),
            State::Sparse(tokens) if tokens.len() < tokens.capacity() => tokens.push(reactor.0),
            State::Sparse(_) => self.insert_with_room(reactor),
        }
    }

    #[cold]
    fn insert_with_room(&mut self, reactor: Reactor) {
        self.settle();
        if let State::Sparse(tokens) = &mut self.0 {
            tokens.reserve_exact(tokens.len().clamp(8, EXACT_MAX));
            tokens.push(reactor.0);
        } else {
            self.insert(reactor);
        }
    }

    /// Adds all users of another sketch.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (State::Dense(registers), State::Dense(others)) => {
                registers
                    .iter_mut()
                    .zip(others.iter())
                    .for_each(|(register, other)| *register = (*register).max(*other));
            }
            (State::Dense(registers), State::Sparse(tokens)) => {
                tokens.iter().for_each(|token| raise(registers, *token));
            }
            (State::Sparse(tokens), State::Sparse(others)) => {
                tokens.extend_from_slice(others);
                self.settle();
            }
            (State::Sparse(tokens), State::Dense(others)) => {
                let mut registers = others.clone();
                tokens.iter().for_each(|token| raise(&mut registers, *token));
                self.0 = State::Dense(registers);
            }
        }
    }

    /// Estimated number of different users: exact up to [`EXACT_MAX`], then with [`RELATIVE_ERROR`].
    pub fn estimate(&mut self) -> u64 {
        self.settle();
        match &self.0 {
            State::Sparse(tokens) => tokens.len() as u64,
            State::Dense(registers) => estimate(registers).round() as u64,
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            State::Sparse(tokens) => tokens.capacity() * 4,
            State::Dense(_) => REGISTERS,
        }
    }

    /// Sorts tokens, drops repeats, and turns to registers when there are too many.
    fn settle(&mut self) {
        let State::Sparse(tokens) = &mut self.0 else { return };
        tokens.sort_unstable();
        tokens.dedup();
        if tokens.len() > EXACT_MAX {
            let mut registers = Box::new([0; REGISTERS]);
            tokens.iter().for_each(|token| raise(&mut registers, *token));
            self.0 = State::Dense(registers);
        }
    }

    /// Writes the sketch; equal sets give equal bytes.
    pub fn encode(&self, writer: &mut Writer) {
        let mut settled = self.clone();
        settled.settle();
        match &settled.0 {
            State::Sparse(tokens) => {
                writer.varint(tokens.len() as u64 + 1);
                let mut last = 0;
                for token in tokens {
                    writer.varint(u64::from(token - last));
                    last = *token;
                }
            }
            State::Dense(registers) => {
                writer.varint(0);
                writer.raw(&registers[..]);
            }
        }
    }

    /// Reads a sketch.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const INVALID: DecodeError = DecodeError::Field("sketch");
        let Some(len) = reader.len(EXACT_MAX + 1)?.checked_sub(1) else {
            let registers: [u8; REGISTERS] = reader.array()?;
            let valid = registers.iter().all(|rank| *rank <= RANK_MAX);
            return if valid { Ok(Self(State::Dense(Box::new(registers)))) } else { Err(INVALID) };
        };
        let mut tokens = Vec::with_capacity(len);
        let mut last = 0u32;
        for _ in 0..len {
            let step = u32::try_from(reader.varint()?).map_err(|_| INVALID)?;
            let token = last.checked_add(step).filter(|_| step > 0).ok_or(INVALID)?;
            if !(1..=u32::from(RANK_MAX)).contains(&(token >> KEY_BITS)) {
                return Err(INVALID);
            }
            tokens.push(token);
            last = token;
        }
        Ok(Self(State::Sparse(tokens)))
    }
}

#[inline]
fn raise(registers: &mut [u8; REGISTERS], token: u32) {
    let register = &mut registers[token as usize % REGISTERS];
    *register = (*register).max((token >> KEY_BITS) as u8);
}

/// Ertl's improved raw estimator, a function of the registers alone and without tuned constants: O. Ertl, "New
/// cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, algorithm 6.
fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let mut ranks = [0u32; RANK_MAX as usize + 1];
    for rank in registers {
        ranks[usize::from(*rank)] += 1;
    }
    let m = REGISTERS as f64;
    let [empty, middle @ .., full] = &ranks;
    let mut z = m * tau(1.0 - f64::from(*full) / m);
    for count in middle.iter().rev() {
        z = 0.5 * (z + f64::from(*count));
    }
    z += m * sigma(f64::from(*empty) / m);
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
