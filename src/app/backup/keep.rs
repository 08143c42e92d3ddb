//! Brings one item from its host into the store: list, hash at the source, stream, hash as received, commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, Semaphore};

use super::bring::Listed;
use super::choose::{Chosen, Known, hardly_used, still_there, worth};
use super::clone::choose_clone;
use super::{clone, node, secrets, statesync};
use crate::app::execute::owner;
use crate::engine::{Archive, Clock as _, Fault, Progress, SystemClock, Wanted};
use crate::error::Error;
use crate::model::backup::{Excludes, Item, Kept, Profile};
use crate::model::snapshot::{FORMAT, Gathered, Manifest, NodeState, SegmentEntry};
use crate::ssh::rate::Rate;
use crate::ssh::source::Source;
use crate::ssh::transport::SshTransport;
use crate::store::{Batch, Hold, Purpose, Store};

/// The longest id.
const LONGEST: usize = 64;

/// Keeps items of one run.
pub struct Keeper {
    pub transport: Arc<SshTransport>,
    pub store: Store,
    /// The most that comes from all of them together.
    pub rate: Option<Arc<Rate>>,
    /// Hosts at once.
    pub hosts: Semaphore,
    /// Streams from each of them.
    pub streams: u64,
    /// Keeps a prune away, from the first item on.
    pub hold: Mutex<Option<Hold>>,
}

/// What is asked of a node beside bringing its files.
pub struct About {
    down_ms: Option<u64>,
    node: Option<NodeState>,
}

#[async_trait]
impl Archive for Keeper {
    async fn prepare(&self, wanted: &Wanted) -> Result<(), Fault> {
        let batch = batch(wanted);
        // Until the tables that the clone is without are in a manifest of their own.
        self.take_hold(wanted).await?;
        let Some(base) = self.parent(&batch).await.map_err(Fault::from)? else { return Ok(()) };
        let usable = self.store.usable().await.map_err(Fault::from)?;
        let source = self.source(&batch).await?;
        let (run, db_dir) = (&wanted.fence.run, &wanted.target.db_dir);
        source
            .tell_known(run, db_dir, &base.id, clone::tables(&base.files, &base.segments, &usable))
            .await
            .map_err(Fault::from)
    }

    async fn keep(&self, wanted: &Wanted, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Kept, Fault> {
        tokio::select! {
            kept = self.keep_in_turn(wanted, tell) => kept,
            full = self.runs_full(wanted), if wanted.item.profile.is_sealed() => Err(full),
        }
    }

    async fn end(&self) {
        if let Some(hold) = self.hold.lock().await.take() {
            hold.release().await;
        }
    }
}

impl Keeper {
    async fn keep_in_turn(&self, wanted: &Wanted, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Kept, Fault> {
        let _turn = self.hosts.acquire().await;
        let batch = batch(wanted);
        self.take_hold(wanted).await?;
        if self.store.ids().await.map_err(Fault::from)?.contains(&batch.id) {
            let manifest = self.store.manifest(&batch.id).await.map_err(Fault::from)?;
            let same = (&manifest.service, &manifest.profile) == (&batch.service, &batch.profile);
            let other = || Fault::answer(&format!("the snapshot {} is of {}", batch.id, manifest.service));
            return if same { Ok(kept(&manifest, 0)) } else { Err(other()) };
        }
        match (&wanted.item.postgres, &wanted.item.keys) {
            (Some(postgres), _) => self.dump(wanted, &batch, postgres, tell).await,
            (None, Some(keys)) => self.bring_keys(wanted, &batch, keys).await,
            (None, None) => match self.bring(wanted, &batch, tell).await {
                // The application may just have finished another one.
                Err(_) if wanted.item.profile == Profile::Statesync => self.bring(wanted, &batch, tell).await,
                ended => ended,
            },
        }
    }

    pub(super) async fn source(&self, batch: &Batch) -> Result<Source, Fault> {
        Ok(self.transport.source(&batch.host).await?.limited(self.rate.clone()))
    }

    /// The same, over another connection where its own has ended.
    pub(super) async fn alive(&self, source: Source, batch: &Batch) -> Result<Source, Fault> {
        if source.is_closed() { self.source(batch).await } else { Ok(source) }
    }

    async fn take_hold(&self, wanted: &Wanted) -> Result<(), Fault> {
        let mut hold = self.hold.lock().await;
        if hold.is_none() {
            *hold = Some(self.store.hold(Purpose::Backup, &owner(), &wanted.fence.run).await.map_err(Fault::from)?);
        }
        Ok(())
    }

    async fn bring(
        &self,
        wanted: &Wanted,
        batch: &Batch,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Kept, Fault> {
        let source = self.source(batch).await?;
        let chosen = self.choose(wanted, &source).await?;
        let parent = match &chosen.base {
            Some(base) => Some(self.store.manifest(base).await.map_err(Fault::from)?),
            None => self.parent(batch).await.map_err(Fault::from)?,
        };
        let usable = self.store.usable().await.map_err(Fault::from)?;
        let mut gathered = Gathered::default();
        let (mut known, mut base) = (Known::default(), Known::default());
        if let Some(parent) = &parent {
            let hardly = hardly_used(still_there(parent, &chosen), &parent.segments);
            let good = |segment: &SegmentEntry| usable.has(segment) && !hardly.contains(segment.sha256.as_str());
            known.add(worth(&parent.files, &parent.segments, good), &parent.segments);
            base.add(worth(&parent.files, &parent.segments, |segment| usable.has(segment)), &parent.segments);
        }
        let roots = roots_of(wanted, &chosen);
        let mut to_bring: Listed<'_> = BTreeMap::new();
        for path in &chosen.stored {
            let gone = || Fault::answer(&format!("{path} is neither in the clone nor in the store: run it again"));
            let (file, segments) = base.stored(path).ok_or_else(gone)?;
            gathered.add(file, segments).map_err(Fault::from)?;
        }
        for ((root, name), expected) in &chosen.files {
            if let Some((file, segments)) = known.table(&format!("{root}/{name}"), expected) {
                gathered.add(file, segments).map_err(Fault::from)?;
            } else {
                let place = (root.as_str(), roots.get(root).map_or("", String::as_str));
                to_bring.entry(place).or_default().push((name.clone(), expected.clone()));
            }
        }
        let bringing = self.bring_all(wanted, (batch, &source), (&known, &usable, to_bring), &mut gathered, tell);
        let (came, about) = join(bringing, self.about(wanted, Some(&source), &chosen)).await;
        let came = came?;
        let source = self.alive(source, batch).await?;
        if wanted.item.profile == Profile::Statesync && self.choose(wanted, &source).await?.files != chosen.files {
            return Err(Fault::answer("the application's snapshots changed while they were copied"));
        }
        let parent = parent.map(|parent| parent.id);
        let manifest = self.commit(wanted, about, batch, (chosen, gathered), parent).await?;
        if wanted.item.profile.is_sealed() {
            // What stays is removed by the host itself, or by the next backup.
            let _ = source.unseal(&wanted.fence.run, &wanted.target.db_dir).await;
        }
        Ok(kept(&manifest, came))
    }

    pub(super) async fn choose(&self, wanted: &Wanted, source: &Source) -> Result<Chosen, Fault> {
        let Item { profile, roots, list, .. } = &wanted.item;
        if profile.is_sealed() {
            return choose_clone(wanted, source).await;
        }
        let globs = list.as_ref().map_or(&[][..], |list| &list.exclude);
        let excludes = Excludes::new(globs).map_err(Fault::from)?;
        let places: Vec<&str> = roots.values().map(String::as_str).collect();
        let lists = source.list(&places).await.map_err(Fault::from)?;
        let mut chosen = Chosen::default();
        for ((root, place), list) in roots.iter().zip(lists) {
            chosen.add((*profile, &excludes), (root, place), list);
        }
        secrets::leave_out(*profile, &roots_of(wanted, &chosen), &mut chosen, source).await?;
        if *profile == Profile::Statesync {
            statesync::keep_newest(&mut chosen, wanted, source).await?;
        }
        if chosen.files.is_empty() {
            let paths = places.join(", ");
            let text = match chosen.left_out.first().filter(|_| chosen.is_anything) {
                Some(out) => format!("nothing in {paths} can be kept: {}", out.reason),
                None if chosen.is_anything => format!("there are no files in {paths}"),
                None => format!("there is nothing at {paths}"),
            };
            return Err(Fault::answer(&text));
        }
        Ok(chosen)
    }

    /// The newest snapshot of the same.
    pub(super) async fn parent(&self, batch: &Batch) -> Result<Option<Manifest>, Error> {
        let suffix = suffix(&batch.service, &batch.profile);
        // Newest first, by the runs that their ids begin with. An id that isn't cut off tells whose it is.
        for id in self.store.ids().await?.into_iter().rev() {
            if id.len() < LONGEST && !id.ends_with(&suffix) {
                continue;
            }
            let Ok(manifest) = self.store.manifest(&id).await else { continue };
            let same =
                (&manifest.host, &manifest.service, &manifest.profile) == (&batch.host, &batch.service, &batch.profile);
            if same {
                return Ok(Some(manifest));
            }
        }
        Ok(None)
    }

    /// What the snapshot says of its node.
    pub(super) async fn about(&self, wanted: &Wanted, source: Option<&Source>, chosen: &Chosen) -> About {
        let (sealed, of_node) = (wanted.item.profile.is_sealed(), wanted.item.profile.is_of_node());
        let height = (wanted.item.profile == Profile::Statesync).then(|| statesync::height(chosen)).flatten();
        About {
            down_ms: if sealed { node::down_ms(&*self.transport, &wanted.target).await } else { None },
            node: if of_node { Some(node::state(&*self.transport, source, wanted, height).await) } else { None },
        }
    }

    /// Writes the manifest, as long as no prune may have gone on beside it: from here on it is a snapshot.
    pub(super) async fn commit(
        &self,
        wanted: &Wanted,
        about: About,
        batch: &Batch,
        all: (Chosen, Gathered),
        parent: Option<String>,
    ) -> Result<Manifest, Fault> {
        let manifest = manifest(wanted, about, batch, all, parent);
        if let Some(hold) = &*self.hold.lock().await {
            hold.check().map_err(Fault::from)?;
        }
        self.store.commit(&manifest).await.map_err(Fault::from)?;
        Ok(manifest)
    }
}

fn manifest(
    wanted: &Wanted,
    about: About,
    batch: &Batch,
    (chosen, gathered): (Chosen, Gathered),
    parent: Option<String>,
) -> Manifest {
    let roots = [&wanted.item.roots, &chosen.parents].into_iter().flatten();
    let roots = roots.map(|(root, path)| (root.clone(), path.clone())).collect();
    let mut files = gathered.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Manifest {
        format: FORMAT,
        id: batch.id.clone(),
        parent,
        made_ms: SystemClock.unix_ms(),
        host: batch.host.clone(),
        service: batch.service.clone(),
        profile: batch.profile.clone(),
        sealed: wanted.item.profile.is_sealed(),
        down_ms: about.down_ms,
        node: about.node,
        streamed: wanted.item.postgres.is_some(),
        roots,
        files,
        folders: chosen.folders,
        links: chosen.links,
        left_out: chosen.left_out,
        segments: gathered.segments,
    }
}

/// What the id of a snapshot of this part of a service ends with.
fn suffix(service: &str, profile: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("-{service}-{profile}").chars().map(plain).collect()
}

/// The same run gives an item the same id, so that a resumed one goes on with it.
fn batch(wanted: &Wanted) -> Batch {
    let (service, profile) = (wanted.item.service.to_string(), wanted.item.profile_name());
    let mut id = format!("{}{}", wanted.fence.run, suffix(&service, profile));
    if id.len() > LONGEST {
        // What is cut off may be all that tells it from another.
        let hash = hex::encode(&Sha256::digest(&id)[..6]);
        id = format!("{}-{hash}", &id[..LONGEST - 1 - hash.len()]);
    }
    Batch { id, host: wanted.item.service.host.clone(), service, profile: profile.into() }
}

/// Where each root is read on the host: of a sealed item in its clone, and of one file in the folder that it is in.
fn roots_of(wanted: &Wanted, chosen: &Chosen) -> BTreeMap<String, String> {
    let read = |(root, path): (&String, &String)| {
        let parent = chosen.parents.get(root).cloned();
        (root.clone(), parent.unwrap_or_else(|| place(wanted, path)))
    };
    wanted.item.roots.iter().map(read).collect()
}

/// Where an item's folder is read: of a sealed one, its clone.
pub(super) fn place(wanted: &Wanted, path: &str) -> String {
    if wanted.item.profile.is_sealed() { format!("{path}/.fleet-{}", wanted.fence.run) } else { path.to_owned() }
}

pub(super) fn kept(manifest: &Manifest, came: u64) -> Kept {
    Kept {
        snapshot: manifest.id.clone(),
        profile: manifest.profile.clone(),
        files: manifest.files.len() as u64,
        bytes: manifest.file_bytes(),
        came,
        height: manifest.node.as_ref().and_then(|node| node.height),
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::answer(&error.to_string())
    }
}
