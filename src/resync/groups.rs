//! Groups, and how they lie within each other: those of `profiles/groups/`, and those that are set at run time.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::settings::Layer;

/// Index of a group. A group of a file keeps its own when others are set at run time.
pub type GroupId = usize;

/// What is written of one group in one place.
#[derive(Debug, Clone)]
pub struct GroupLayer {
    pub name: Arc<str>,
    pub parent: Option<Arc<str>>,
    pub layer: Arc<Layer>,
    /// Why its settings are not there.
    pub unreadable: Option<Arc<str>>,
}

impl GroupLayer {
    pub fn new(name: &str, parent: Option<&str>, layer: Layer) -> Self {
        Self { name: name.into(), parent: parent.map(Into::into), layer: layer.into(), unreadable: None }
    }

    /// A group whose settings can't be read; what is in it is not served.
    pub fn unreadable(name: &str, parent: Option<&str>, why: &str) -> Self {
        let layer = Layer::empty(Path::new(name));
        Self { unreadable: Some(why.into()), ..Self::new(name, parent, layer) }
    }
}

/// One group, and those that it lies within.
#[derive(Debug, Clone)]
pub struct Group {
    pub name: Arc<str>,
    pub parent: Option<Arc<str>>,
    /// Its file's layer, or what was set at run time where it has no file.
    pub layer: Arc<Layer>,
    /// What was set at run time, where it has both; the stronger one.
    pub record: Option<Arc<Layer>>,
    /// Why what was set at run time is not there.
    unreadable: Option<Arc<str>>,
    /// From the outermost to the group itself.
    pub chain: Vec<GroupId>,
    /// Why nothing may be made of the group's settings.
    pub broken: Option<Broken>,
}

impl Group {
    fn new(written: &GroupLayer) -> Self {
        Self {
            name: written.name.clone(),
            parent: written.parent.clone(),
            layer: written.layer.clone(),
            record: None,
            unreadable: written.unreadable.clone(),
            chain: Vec::new(),
            broken: None,
        }
    }

    /// Its own layers, weakest first.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&*self.layer).chain(self.record.as_deref())
    }
}

/// What is wrong with a group's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// It, or one that it lies within, names a parent that is not there.
    NoParent(Arc<str>),
    /// These lie within each other.
    Ring(Vec<GroupId>),
    /// Its settings, or those of one that it lies within, can't be read.
    Unreadable(Arc<str>),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoParent(name) => write!(f, "there is no group \"{name}\" to lie within"),
            Self::Unreadable(why) => f.write_str(why),
            Self::Ring(_) => f.write_str("groups lie within each other in a ring"),
        }
    }
}

/// All groups. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    list: Arc<Vec<Group>>,
    ids: Arc<HashMap<Arc<str>, GroupId>>,
}

impl Groups {
    /// Groups of different names.
    pub fn new(written: &[GroupLayer]) -> Self {
        Self::placed(written.iter().map(Group::new).collect())
    }

    /// The same with what was set at run time laid over it.
    #[must_use]
    pub fn with(&self, records: &[GroupLayer]) -> Self {
        let mut list = (*self.list).clone();
        for record in records {
            match self.id(&record.name).and_then(|id| list.get_mut(id)) {
                Some(group) => {
                    group.record = Some(record.layer.clone());
                    group.unreadable = record.unreadable.clone();
                    group.parent = record.parent.clone().or_else(|| group.parent.clone());
                }
                None => list.push(Group::new(record)),
            }
        }
        Self::placed(list)
    }

    /// Finds the place of each.
    fn placed(mut list: Vec<Group>) -> Self {
        let ids: HashMap<Arc<str>, GroupId> =
            list.iter().enumerate().map(|(id, group)| (group.name.clone(), id)).collect();
        let parent = |group: &Group| {
            group.parent.as_ref().map(|name| ids.get(name).copied().ok_or_else(|| Broken::NoParent(name.clone())))
        };
        let parents: Vec<_> = list.iter().map(parent).collect();
        let unreadable: Vec<_> = list.iter().map(|group| group.unreadable.clone()).collect();
        for (id, group) in list.iter_mut().enumerate() {
            (group.chain, group.broken) = match chain(id, &parents) {
                Ok(chain) => {
                    let why = chain.iter().find_map(|id| unreadable.get(*id).cloned().flatten());
                    (chain, why.map(Broken::Unreadable))
                }
                Err(broken) => (Vec::new(), Some(broken)),
            };
        }
        Self { list: list.into(), ids: ids.into() }
    }

    pub fn get(&self, id: GroupId) -> Option<&Group> {
        self.list.get(id)
    }

    pub fn id(&self, name: &str) -> Option<GroupId> {
        self.ids.get(name).copied()
    }

    pub fn named(&self, name: &str) -> Option<&Group> {
        self.get(self.id(name)?)
    }

    /// In the order of their ids.
    pub fn iter(&self) -> std::slice::Iter<'_, Group> {
        self.list.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The names of a group and of all that lie within it.
    pub fn within(&self, name: &str) -> Vec<Arc<str>> {
        let Some(id) = self.id(name) else { return Vec::new() };
        self.iter().filter(|group| group.chain.contains(&id)).map(|group| group.name.clone()).collect()
    }
}

/// The groups from the outermost to this one, or what is wrong on the way.
fn chain(id: GroupId, parents: &[Option<Result<GroupId, Broken>>]) -> Result<Vec<GroupId>, Broken> {
    let mut chain = vec![id];
    let mut at = id;
    while let Some(parent) = parents.get(at).cloned().flatten() {
        let parent = parent?;
        if let Some(start) = chain.iter().position(|known| *known == parent) {
            return Err(Broken::Ring(chain.split_off(start)));
        }
        chain.push(parent);
        at = parent;
    }
    chain.reverse();
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, parent: Option<&str>) -> GroupLayer {
        GroupLayer::new(name, parent, Layer::empty(Path::new(name)))
    }

    fn names(groups: &Groups, name: &str) -> Vec<String> {
        let chain = &groups.named(name).unwrap().chain;
        chain.iter().map(|id| groups.get(*id).unwrap().name.to_string()).collect()
    }

    #[test]
    fn groups_of_both_kinds_lie_within_each_other() {
        let files = Groups::new(&[written("acme", None), written("acme-hq", Some("acme"))]);
        let groups = files.with(&[written("acme-hq", None), written("lobby", Some("acme-hq"))]);
        assert_eq!(names(&groups, "lobby"), ["acme", "acme-hq", "lobby"]);
        assert_eq!(groups.id("acme-hq"), files.id("acme-hq"));
        assert_eq!(groups.named("acme-hq").unwrap().layers().count(), 2);
        assert_eq!(groups.within("acme-hq").len(), 2);
    }

    #[test]
    fn a_group_without_a_place_says_why_and_harms_no_other() {
        let groups = Groups::new(&[
            written("fine", None),
            written("lost", Some("gone")),
            written("within", Some("lost")),
            written("a", Some("b")),
            written("b", Some("a")),
        ]);
        let broken = |name: &str| groups.named(name).unwrap().broken.clone();
        assert_eq!(broken("fine"), None);
        assert_eq!(broken("within"), Some(Broken::NoParent("gone".into())));
        assert_eq!(broken("a"), Some(Broken::Ring(vec![3, 4])));
    }
}
