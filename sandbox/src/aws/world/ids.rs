//! Identifiers, as random as AWS's or the same in every run.

use serde::{Deserialize, Serialize};

use crate::aws::wire::sigv4::hex;

/// Makes identifiers from a seed and a count: the same seed and the same calls give the same identifiers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ids {
    seed: u64,
    made: u64,
}

impl Ids {
    /// With a seed for identifiers that can be foreseen, without for others.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            seed: seed.unwrap_or_else(rand::random),
            made: 0,
        }
    }

    /// 64 hexadecimal digits that were never given out before.
    fn digits(&mut self) -> String {
        self.made += 1;
        let text = format!("{:x}/{:x}", self.seed, self.made);
        hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref())
    }

    /// `prefix-` and 17 hexadecimal digits, as EC2's long identifiers.
    pub(crate) fn ec2(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{}", &self.digits()[..16])
    }

    /// That many hexadecimal digits, 64 at most.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.digits()[..length.min(64)].to_owned()
    }

    /// A UUID: request ids, keys of KMS, updates of EKS.
    pub(crate) fn uuid(&mut self) -> String {
        let d = self.digits();
        format!(
            "{}-{}-4{}-a{}-{}",
            &d[..8],
            &d[8..12],
            &d[13..16],
            &d[17..20],
            &d[20..32]
        )
    }

    /// That many capital letters and digits, as in unique identifiers of IAM (`AROA...`).
    pub(crate) fn letters(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let digits = self.digits();
        let pairs = digits.as_bytes().chunks(2).take(length);
        pairs
            .map(|pair| {
                let number = pair
                    .iter()
                    .fold(0_usize, |sum, byte| sum * 7 + usize::from(*byte));
                char::from(ALPHABET[number % 32])
            })
            .collect()
    }

    /// An even spread number below `end`, e.g. for a public address.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        let digits = self.digits();
        u32::from_str_radix(&digits[..8], 16).unwrap_or_default() % end.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_identifiers_and_no_seed_others() {
        let mut one = Ids::new(Some(7));
        let mut two = Ids::new(Some(7));
        let first = one.ec2("vpc");
        assert_eq!(first, two.ec2("vpc"));
        assert_eq!(first.len(), "vpc-".len() + 17);
        assert_ne!(one.ec2("vpc"), first);
        assert_eq!(one.uuid().len(), 36);
        assert_eq!(one.letters(16).len(), 16);
        assert_ne!(Ids::new(None).uuid(), Ids::new(None).uuid());
    }
}
