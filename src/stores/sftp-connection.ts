import type { Socket } from 'node:net'
import type { SFTPWrapper } from 'ssh2'
import SftpClient from 'ssh2-sftp-client'
import type { NameSettings } from '../dns/ask.ts'
import { describeError, PgarchError } from '../errors.ts'
import { connectFailure, isWrongLogin, otherHostKey } from './connect-failure.ts'
import { algorithmsFor, formatHostKey, hostKeyBytes } from './host-key.ts'
import { findLogins, type Login } from './identity.ts'
import { type Reached, reach } from './reach.ts'
import type { PathDescription, StoreOptions } from './store.ts'

/** What ssh2 calls back with: an error whose `code` is the server's status, else the answer. */
type Callback<Answer> = (error: Error | null | undefined, answer: Answer) => void

/** Deadlines watch over every call; this notices the end of a connection that nobody uses. */
const keepalive = { keepaliveInterval: 15_000, keepaliveCountMax: 3 }

/** One SFTP connection; once it is lost it stays so. */
export class SftpConnection {
  readonly #path: PathDescription
  readonly #client: SftpClient
  readonly #socket: Socket
  readonly #sftp: SFTPWrapper
  #lost: PgarchError | undefined
  #hasMoved = false
  #stopFollowing = () => {}

  private constructor(
    path: PathDescription,
    client: SftpClient,
    socket: Socket,
    sftp: SFTPWrapper,
  ) {
    this.#path = path
    this.#client = client
    this.#socket = socket
    this.#sftp = sftp
    socket.once('close', () => this.#lose('it was closed'))
    client.on('error', (error: unknown) => this.#lose(describeError(error)))
    // The server's SFTP may end while the connection lives; requests would then never be answered.
    for (const event of ['end', 'close']) sftp.on(event, () => this.#lose('SFTP ended'))
    sftp.on('error', (error: unknown) => this.#lose(describeError(error)))
  }

  /**
   * Connects to one of the host's addresses, checks the host key, logs in and starts SFTP, all within
   * `connectTimeout`. Where a server has another host key, or closes the connection, the next address is
   * tried. Rejects with `unreachable`, or with `unusable` when the host key or the login is not accepted.
   */
  static async open(path: PathDescription, options: StoreOptions): Promise<SftpConnection> {
    const { sshHost: host, sshPort: port, sshUser: username, hostKey } = path
    if (host === null || port === null || username === null || hostKey === null) {
      throw new PgarchError(
        'usage',
        `path "${path.name}" lacks its SSH host, port, user or host key`,
      )
    }
    const { names = {}, connectTimeout } = options
    const logins = await findLogins(path.name, username, options.identity)
    const stop = new AbortController()
    const expired = Promise.withResolvers<never>()
    expired.promise.catch(() => {})
    stop.signal.addEventListener('abort', () => expired.reject(stop.signal.reason))
    // Rounded, as it may be what is left of another limit.
    const seconds = Math.ceil(connectTimeout / 100) / 10
    const timer = setTimeout(
      () => stop.abort(new Error(`no connection within ${seconds} s`)),
      connectTimeout,
    )
    const reasons: unknown[] = []
    try {
      for await (const reached of reach({ host, port }, names, connectTimeout, stop.signal)) {
        const { socket } = reached
        try {
          const starting = startSftp(socket, path, { username, hostKey, logins })
          const { client, sftp } = await Promise.race([starting, expired.promise])
          const connection = new SftpConnection(path, client, socket, sftp)
          await connection.#follow(reached, host, names)
          return connection
        } catch (thrown) {
          socket.destroy()
          reasons.push(thrown)
          if (isWrongLogin(thrown)) break
        }
      }
    } catch (thrown) {
      reasons.push(thrown)
    } finally {
      clearTimeout(timer)
    }
    throw connectFailure(path, reasons)
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  get hasMoved(): boolean {
    return this.#hasMoved
  }

  /** Of a host with a name: its address worked, and is looked after from now on. */
  async #follow({ place }: Reached, host: string, names: NameSettings): Promise<void> {
    if (place === undefined) return
    const [{ noteWorked }, { followAddress }] = await Promise.all([
      import('../dns/addresses.ts'),
      import('../dns/follow.ts'),
    ])
    await noteWorked(host, place.address, names)
    this.#stopFollowing = followAddress({ host, ...place }, names, () => {
      this.#hasMoved = true
    })
    if (this.isLost) this.#stopFollowing()
  }

  /**
   * One request. Rejects with `unreachable` when the connection is lost, else with ssh2's error, whose
   * numeric `code` is the server's status (draft-ietf-secsh-filexfer-02, section 7). ssh2 itself answers
   * what is open when a connection ends, but nothing that is asked later: `#lost` does.
   */
  request<Answer = void>(
    send: (sftp: SFTPWrapper, callback: Callback<Answer>) => void,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) return reject(this.#lost)
      send(this.#sftp, (error, answer) => {
        if (!error) resolve(answer)
        else if (typeof (error as { code?: unknown }).code === 'number') reject(error)
        else reject(this.#lose(error.message))
      })
    })
  }

  destroy(): void {
    this.#lose('it was given up')
    this.#socket.destroy()
  }

  async close(): Promise<void> {
    if (this.#lost !== undefined) {
      this.#socket.destroy()
      return
    }
    this.#lose('it was closed')
    const closed = new Promise((resolve) => this.#socket.once('close', resolve))
    const timer = setTimeout(() => this.#socket.destroy(), 1000)
    this.#client.end().catch(() => {}) // it is the socket that counts
    await closed
    clearTimeout(timer)
  }

  #lose(why: string): PgarchError {
    this.#stopFollowing()
    this.#lost ??= new PgarchError(
      'unreachable',
      `path "${this.#path.name}": connection lost: ${why}`,
    )
    return this.#lost
  }
}

/** Over a connection to a server that may turn out to be another one: its host key is looked at first. */
async function startSftp(
  sock: Socket,
  path: PathDescription,
  of: { readonly username: string; readonly hostKey: string; readonly logins: Login[] },
): Promise<{ client: SftpClient; sftp: SFTPWrapper }> {
  const { username, hostKey, logins } = of
  const silent = () => {}
  const client = new SftpClient(path.name, { error: silent, end: silent, close: silent })
  let refusal: PgarchError | undefined
  const connecting = client.connect({
    sock,
    username,
    ...keepalive,
    readyTimeout: 0,
    authHandler: logins,
    algorithms: {
      serverHostKey: algorithmsFor(hostKey),
      // Several times as fast as the others, also without the native add-on.
      cipher: {
        prepend: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'],
        append: [],
        remove: [],
      },
    },
    hostVerifier: (key: Buffer) => {
      if (key.equals(hostKeyBytes(hostKey))) return true
      refusal = otherHostKey(path, hostKey, formatHostKey(key))
      return false
    },
  })
  const sftp = (await connecting.catch((thrown: unknown) => {
    throw refusal ?? thrown
  })) as unknown as SFTPWrapper
  return { client, sftp }
}
