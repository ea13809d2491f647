//! **Resident data**: what a program mentions again and again is copied to the
//! device once. So a recorded graph, in which nothing can be copied, may
//! mention it.
//!
//! | what | is known by |
//! |---|---|
//! | constants | their bits |
//! | lists of places | which list it is: the address of an `Arc` |
//!
//! An address alone would not do: a list that is dropped leaves its address to
//! the next. So an entry holds a weak reference, which keeps the address from
//! being given away while the entry stands. Entries whose list is gone are
//! dropped when the next one is made, and there are at most so many: then the
//! one that was not asked for the longest goes. A recorded graph holds what it
//! uses by itself.

use crate::device::{Buffer, Device};
use crate::error::CudaError;
use crate::kernels::places::{Inverse, Places};
use crate::pool::Block;
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

/// Most entries of each kind, and most numbers of a constant: longer lists are
/// data, and so many lists are no constants.
const MOST: usize = 4096;

/// What is on a device already.
#[derive(Debug, Default)]
pub(crate) struct Resident {
    constants: HashMap<Vec<u32>, Arc<Block>>,
    places: HashMap<Key, Entry>,
    /// Counts what is asked for.
    clock: u64,
}

/// The list at this address, as places of an axis of this extent.
type Key = (usize, usize);

/// Whatever it is that a list is known by.
type Identity = dyn Any + Send + Sync;

#[derive(Debug)]
struct Entry {
    /// Keeps the address.
    list: Weak<Identity>,
    /// The index of [`Places`], with its length.
    index: (Option<Arc<Block>>, usize),
    /// What they share with every other [`Places`] of the list.
    inverse: Arc<Inverse>,
    /// When it was last asked for.
    asked: u64,
}

impl Entry {
    /// Whether nobody can ask for it again.
    fn is_dead(&self) -> bool {
        self.list.strong_count() == 0
    }
}

impl Resident {
    /// Drops entries that nobody can ask for again, and the oldest one if
    /// there still is no room for another.
    fn make_room(&mut self, most: usize) {
        self.places.retain(|_, entry| !entry.is_dead());
        if self.places.len() >= most {
            let oldest = self.places.iter().min_by_key(|(_, entry)| entry.asked);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.places.remove(&key);
            }
        }
    }
}

fn address(list: &Arc<Identity>) -> usize {
    Arc::as_ptr(list).cast::<u8>() as usize
}

impl Places {
    /// The places of a list: copied to the device when the list is first
    /// asked for, and known by the list from then on.
    ///
    /// # Errors
    /// If one lies beyond the axis, or the device refuses.
    pub fn of_list(
        device: &Device,
        list: &Arc<Identity>,
        of: usize,
        numbers: impl FnOnce() -> Vec<u32>,
    ) -> Result<Self, CudaError> {
        let key = (address(list), of);
        let mut resident = device.resident();
        resident.clock += 1;
        let asked = resident.clock;
        if let Some(entry) = resident.places.get_mut(&key) {
            entry.asked = asked;
            let (block, len) = &entry.index;
            let index = device.buffer_of(block.clone(), *len);
            return Ok(Places::from_parts(index, entry.inverse.clone()));
        }
        let made = Places::new(device, &numbers(), of)?;
        let (index, inverse) = made.parts();
        let entry = Entry {
            list: Arc::downgrade(list),
            index: (index.block().cloned(), index.len()),
            inverse: inverse.clone(),
            asked,
        };
        resident.make_room(MOST);
        resident.places.insert(key, entry);
        Ok(made)
    }
}

impl Device {
    fn resident(&self) -> MutexGuard<'_, Resident> {
        let resident = self.resident_lock().lock();
        resident.unwrap_or_else(PoisonError::into_inner)
    }

    /// These numbers, never to be changed: those that were asked for before
    /// are not copied again.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn constant(&self, numbers: &[f32]) -> Result<Arc<Buffer<f32>>, CudaError> {
        if numbers.is_empty() || numbers.len() > MOST {
            return self.upload(numbers).map(Arc::new);
        }
        let bits: Vec<u32> = numbers.iter().map(|x| x.to_bits()).collect();
        let mut resident = self.resident();
        let known = resident.constants.get(&bits).cloned();
        let block = match known {
            Some(block) => block,
            None => {
                if resident.constants.len() >= MOST {
                    resident.constants.clear();
                }
                let buffer = self.upload(numbers)?;
                let block = buffer.block().cloned().expect("there are numbers");
                resident.constants.insert(bits, block.clone());
                block
            }
        };
        Ok(Arc::new(self.buffer_of(Some(block), numbers.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(list: &Arc<Identity>, asked: u64) -> Entry {
        Entry {
            list: Arc::downgrade(list),
            index: (None, 0),
            inverse: Arc::new(Inverse::new(Vec::new(), 0)),
            asked,
        }
    }

    fn make(i: usize) -> Arc<Identity> {
        Arc::new([i; 5])
    }

    /// Without the weak reference the address of a list comes again, with it
    /// never.
    #[test]
    fn an_address_is_not_given_to_another_list_while_its_entry_stands() {
        let mut seen = std::collections::HashSet::new();
        let again = (0..1000).filter(|&i| !seen.insert(address(&make(i))));
        assert!(again.count() > 0, "the control: addresses do come again");
        let mut resident = Resident::default();
        for i in 0..1000 {
            let list = make(i);
            let key = (address(&list), 1);
            assert!(!resident.places.contains_key(&key), "list {i}");
            resident.places.insert(key, entry(&list, 0));
        }
    }

    #[test]
    fn dead_entries_go_first_and_then_the_oldest() {
        let lists: Vec<Arc<Identity>> = (0..4).map(make).collect();
        let mut resident = Resident::default();
        for (list, asked) in lists.iter().zip([7, 5, 6, 8]) {
            let key = (address(list), 1);
            resident.places.insert(key, entry(list, asked));
        }
        let left = |resident: &Resident| {
            let mut asked: Vec<u64> = resident.places.values().map(|e| e.asked).collect();
            asked.sort_unstable();
            asked
        };
        resident.make_room(5);
        assert_eq!(left(&resident), [5, 6, 7, 8], "there is room");
        resident.make_room(4);
        assert_eq!(left(&resident), [6, 7, 8], "the oldest went");
        let mut lists = lists;
        drop(lists.remove(2));
        resident.make_room(4);
        assert_eq!(left(&resident), [7, 8], "the dead one went");
    }
}
