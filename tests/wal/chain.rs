//! Votes, records and powers of the model.

use std::rc::Rc;

/// A block's number.
pub type Block = u16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    pub round: u32,
    /// The signer's step: 2 or 3.
    pub step: u8,
    pub block: Option<Block>,
    pub who: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    Proposal {
        round: u32,
        block: Block,
        proof: Option<u32>,
    },
    /// All parts of a block.
    Parts(Block),
    Vote(Vote),
    Timeout(u32, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    Nothing,
    Proposal(u32, Block, Option<u32>),
    Vote(Vote),
}

impl Signed {
    pub fn mark(self) -> (u32, u8) {
        match self {
            Self::Nothing => (0, 0),
            Self::Proposal(round, ..) => (round, 1),
            Self::Vote(vote) => (vote.round, vote.step),
        }
    }
}

/// Powers, and who proposes in which round.
pub struct Chain {
    pub powers: Vec<u64>,
    pub proposers: Vec<usize>,
}

impl Chain {
    pub fn new(powers: Vec<u64>) -> Rc<Self> {
        let signed: Vec<i64> = powers.iter().map(|power| i64::try_from(*power).unwrap()).collect();
        let mut priorities = vec![0; powers.len()];
        let mut turn = |_| {
            priorities.iter_mut().zip(&signed).for_each(|(priority, power)| *priority += power);
            let first = (0..priorities.len()).max_by_key(|one| priorities[*one]).unwrap();
            priorities[first] -= signed.iter().sum::<i64>();
            first
        };
        let proposers = (0..64).map(&mut turn).collect();
        Rc::new(Self { powers, proposers })
    }

    pub fn many(&self, power: u64) -> bool {
        3 * power > 2 * self.powers.iter().sum::<u64>()
    }
}
