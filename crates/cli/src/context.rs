//! What every command works with: the data directory, its node, the tokens here.

use std::{
    cell::RefCell,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use chancery_agent::{AgentError, LocalTokens, OwnToken, PinSource, RehearsalPins, UnlockedToken, own_lines};
use chancery_api::{FailureKind, Installation, Method, PersonList, PersonView};
use chancery_node::{Client, DataDir, LayoutError, SystemClock, ensure_running};
use chancery_vtoken::Factory;

use crate::{
    cli::Global,
    error::CliError,
    own_side::{present_pin, reached},
    progress::Progress,
};

/// The surroundings of one command.
pub(crate) struct Context {
    directory: PathBuf,
    /// Whether somebody named the directory.
    named: bool,
    json: bool,
    client: RefCell<Option<Client>>,
}

impl Context {
    /// From the options of the command line.
    pub(crate) fn new(global: &Global) -> Result<Self, CliError> {
        let directory = match &global.data_dir {
            Some(directory) => directory.clone(),
            None => default_directory()?,
        };
        Ok(Self {
            named: global.data_dir.is_some(),
            directory,
            json: global.json,
            client: RefCell::new(None),
        })
    }

    /// On this data directory.
    pub(crate) const fn at(directory: PathBuf, json: bool) -> Self {
        Self {
            directory,
            named: true,
            json,
            client: RefCell::new(None),
        }
    }

    /// Whether JSON is printed.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// The data directory as somebody named it; `None` for the default.
    pub(crate) fn named_directory(&self) -> Option<&Path> {
        self.named.then_some(self.directory.as_path())
    }

    /// The data directory, which must be there.
    pub(crate) fn data(&self) -> Result<DataDir, CliError> {
        Ok(DataDir::open(&self.directory)?)
    }

    /// The data directory, if there is one: tokens in readers need none.
    pub(crate) fn data_if_any(&self) -> Result<Option<DataDir>, CliError> {
        match DataDir::open(&self.directory) {
            Ok(data) => Ok(Some(data)),
            Err(LayoutError::Missing(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The data directory, made when it is missing.
    pub(crate) fn data_or_new(&self) -> Result<DataDir, CliError> {
        Ok(DataDir::create(&self.directory)?)
    }

    /// What the data directory says about itself.
    pub(crate) fn installation(&self) -> Result<Installation, CliError> {
        Ok(self.data()?.installation()?)
    }

    /// Whether this installation says it is for rehearsal; not before it is initialised.
    pub(crate) fn is_rehearsal(&self) -> Result<bool, CliError> {
        match self.data().map(|data| data.installation()) {
            Ok(Ok(installation)) => Ok(installation.rehearsal),
            Ok(Err(LayoutError::NotInitialised(_))) => Ok(false),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error),
        }
    }

    /// Calls the node, which is started in the background when none runs.
    pub(crate) fn call<M: Method>(&self, method: &M) -> Result<M::Reply, CliError> {
        let _progress = Progress::start(&format!("waiting for the node ({})", M::NAME));
        self.call_quietly(method)
    }

    /// As [`Context::call`], for somebody who shows what is waited for.
    pub(crate) fn call_quietly<M: Method>(&self, method: &M) -> Result<M::Reply, CliError> {
        let mut slot = self.client.borrow_mut();
        let mut client = match slot.take() {
            Some(client) => client,
            None => self.connect()?,
        };
        let reply = client.call(method);
        // After a failure of the connection the next call begins anew.
        if !reply
            .as_ref()
            .is_err_and(|failure| failure.kind == FailureKind::Unavailable)
        {
            *slot = Some(client);
        }
        Ok(reply?)
    }

    /// Lets go of the connection, before somebody is waited for or the node is stopped.
    pub(crate) fn disconnect(&self) {
        self.client.borrow_mut().take();
    }

    fn connect(&self) -> Result<Client, CliError> {
        let data = self.data()?;
        // Without it a node would only end with the same words.
        data.installation()?;
        let exe = std::env::current_exe().map_err(CliError::file("find", Path::new("this program")))?;
        let path = data.path().as_os_str();
        let args = [
            "--data-dir".as_ref(),
            path,
            "serve".as_ref(),
            "--background".as_ref(),
        ];
        Ok(ensure_running(&data, &exe, &args)?)
    }

    /// Tells something beside the outcome, on standard error. Foreign text in it has to be on one line; no terminal obeys it.
    pub(crate) fn tell(&self, line: impl AsRef<str>) {
        // Who closed the stream does not want to know.
        let _ = writeln!(io::stderr().lock(), "{}", own_lines(line.as_ref()));
    }

    /// The tokens here. Their factory's root counts when there is one.
    pub(crate) fn tokens(&self) -> Result<LocalTokens, CliError> {
        let data = self.data()?;
        let made = fs::read_dir(data.factory()).is_ok_and(|mut entries| entries.next().is_some());
        let factory = if made { Some(self.factory(&data)?) } else { None };
        Ok(LocalTokens::new(
            &data.tokens(),
            data.at_rest(),
            factory.as_ref(),
        )?)
    }

    /// The factory of the tokens here, made when it is missing.
    pub(crate) fn factory(&self, data: &DataDir) -> Result<Factory, CliError> {
        Ok(Factory::open_or_create(
            &data.factory(),
            &data.at_rest(),
            SystemClock.today(),
        )?)
    }

    /// Where the PINs of an installation for rehearsal are.
    pub(crate) fn rehearsal_file(data: &DataDir) -> PathBuf {
        data.path().join("rehearsal-pins.json")
    }

    /// Where custodians keep which HSMs they accepted.
    pub(crate) fn accepted_directory(data: &DataDir) -> PathBuf {
        data.path().join("custodians")
    }

    /// A person by name, as the node knows them.
    pub(crate) fn person(&self, name: &str) -> Result<PersonView, CliError> {
        self.call(&PersonList {})?
            .into_iter()
            .find(|person| person.name == name)
            .ok_or_else(|| {
                CliError::with_remedy(
                    FailureKind::NotFound,
                    format!("there is no person named {name}"),
                    "chancery person list; chancery person add --help",
                )
            })
    }

    /// Opens the token of a person, which must be here, in a reader or among the virtual ones, and presents its PIN.
    pub(crate) fn unlocked_token_of(
        &self,
        person: &str,
        pin_file: Option<&Path>,
    ) -> Result<UnlockedToken, CliError> {
        let device = self.person(person)?.device;
        match self.tokens()?.by_device(&device) {
            Err(missing @ AgentError::NoToken { .. }) => {
                let Ok((chosen, token)) = reached(self, &format!("device:{device}"), Some(&device)) else {
                    return Err(missing.into());
                };
                present_pin(self, &chosen, token, pin_file)
            }
            token => self.present_pin(token?, pin_file),
        }
    }

    /// Opens a token by its own name, or by what a token in a reader is called, and presents its PIN.
    pub(crate) fn unlocked_token(
        &self,
        name: &str,
        pin_file: Option<&Path>,
    ) -> Result<UnlockedToken, CliError> {
        match self.tokens()?.open(name) {
            Err(missing @ AgentError::NoToken { .. }) => {
                let Ok((chosen, token)) = reached(self, name, None) else {
                    return Err(missing.into());
                };
                present_pin(self, &chosen, token, pin_file)
            }
            token => self.present_pin(token?, pin_file),
        }
    }

    /// Presents the PIN of a virtual token of the data directory.
    pub(crate) fn present_pin(
        &self,
        token: OwnToken,
        pin_file: Option<&Path>,
    ) -> Result<UnlockedToken, CliError> {
        let pins = self.pin_source(token.name(), pin_file)?;
        Ok(token.unlock(&pins)?)
    }

    /// Where a token's PIN comes from: the file named, the rehearsal file, the terminal.
    fn pin_source(&self, token: &str, pin_file: Option<&Path>) -> Result<PinSource, CliError> {
        if let Some(path) = pin_file {
            return Ok(if path == Path::new("-") {
                PinSource::Stdin
            } else {
                PinSource::File(path.to_owned())
            });
        }
        let data = self.data()?;
        let file = Self::rehearsal_file(&data);
        let initialised = data.installation_file().try_exists().unwrap_or(false);
        // Before `init` only what generated the file can have said that this is a rehearsal.
        if !initialised || self.is_rehearsal()? {
            let pins = RehearsalPins::load(&file)?;
            if pins.tokens.get(token).is_some_and(|pins| pins.user_pin.is_some()) {
                self.tell(format!(
                    "(rehearsal: the PIN of token {token} is taken from {})",
                    file.display()
                ));
                return Ok(PinSource::Rehearsal(file));
            }
        }
        Ok(PinSource::Prompt)
    }
}

fn default_directory() -> Result<PathBuf, CliError> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("chancery"))
        .ok_or_else(|| {
            CliError::Usage("there is no home directory; name the data directory with --data-dir".to_owned())
        })
}
