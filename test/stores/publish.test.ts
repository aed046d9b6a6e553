import { linkSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import type { FileAccess } from '../../src/stores/file-access.ts'
import { FileStore } from '../../src/stores/file-store.ts'
import { LocalFiles } from '../../src/stores/local-files.ts'
import { storedName } from '../../src/stores/stored-file.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { claim, describePath, options } from './bed.ts'
import { fingerprint, randomSample, segment } from './samples.ts'

const folder = temporaryFolder('publish')
afterAll(() => folder.remove())

const path = { kind: 'local', sshHost: null, sshPort: null, sshUser: null, hostKey: null } as const
const local = { path, options }

test('the order of the publish sequence, and what is made durable when', async () => {
  const root = makeFolder(folder.path, 'in-turn')
  const description = describePath(local, root)
  await claim(local, description)
  const steps: string[] = []
  const files = recorded(new LocalFiles(description), steps)
  const store = new FileStore(description, files, options, false)
  const put = async (walName: string) => {
    steps.length = 0
    const { content, digest } = randomSample(10, walName)
    await store.put(storedName(fingerprint, walName), content, digest)
    return steps.map((step) => step.replace(/\.[0-9a-f]{16}\.pgarch-tmp/, '.TMP'))
  }
  const outer = fingerprint
  const inner = `${fingerprint}/${segment.slice(0, 16)}`

  expect(await put(segment)).toEqual([
    `create ${inner}/.${segment}.zst.TMP`,
    `makeDirectory ${outer}`,
    `makeDirectory ${inner}`,
    `create ${inner}/.${segment}.zst.TMP`,
    `link ${inner}/.${segment}.zst.TMP ${inner}/${segment}.zst`,
    `unlink ${inner}/.${segment}.zst.TMP`,
    `sync ${inner}`,
    `sync ${outer}`,
    'sync ',
  ])
  const next = `${segment}.partial`
  expect(await put(next)).toEqual([
    `create ${inner}/.${next}.zst.TMP`,
    `link ${inner}/.${next}.zst.TMP ${inner}/${next}.zst`,
    `unlink ${inner}/.${next}.zst.TMP`,
    `sync ${inner}`,
  ])

  // Whoever stored it before may have died between its link and its fsync.
  const { content, digest } = randomSample(10, `${segment}.00000028.backup`)
  const name = storedName(fingerprint, digest.walName)
  await store.put(name, content, digest)
  steps.length = 0
  expect(await store.put(name, content, digest)).toMatchObject({ outcome: 'already-stored' })
  expect(steps).toEqual([`sync ${name}`, `sync ${inner}`])
})

test('where the other side keeps the order, nothing is waited for between link, unlink and fsync', async () => {
  const root = makeFolder(folder.path, 'ordered')
  const description = describePath(local, root)
  await claim(local, description)
  const files = new (class extends LocalFiles {
    override readonly keepsOrder = true
    override async link(existing: string, name: string) {
      linkSync(join(root, existing), join(root, name))
      // Answered only once the others were asked for.
      await expect.poll(() => steps.at(-1)).toMatch(/^sync /)
      return 'linked' as const
    }
  })(description)
  const steps: string[] = []
  const store = new FileStore(description, recorded(files, steps), options, false)
  const { content, digest } = randomSample(10)
  await store.put(storedName(fingerprint, segment), content, digest)
  const last = steps.slice(steps.findIndex((step) => step.startsWith('link')))
  expect(last.map((step) => step.split(' ')[0])).toEqual(['link', 'unlink', 'sync', 'sync', 'sync'])
})

describe('a distant file is opened while the path is looked at', () => {
  /** A store that has put one file, and so knows the directory. */
  async function open(name: string) {
    const root = makeFolder(folder.path, name)
    const description = describePath(local, root)
    await claim(local, description)
    const files = new (class extends LocalFiles {
      override readonly keepsOrder = true
      /** Resolves to what is to be known of the path before anything is written. */
      slowly: () => Promise<void> = async () => {}
      override async readText(file: string) {
        await this.slowly()
        return await super.readText(file)
      }
      // As an SFTP server does, and threads do not.
      #last: Promise<unknown> = Promise.resolve()
      #inTurn<Result>(step: () => Promise<Result>): Promise<Result> {
        const own = this.#last.then(step)
        this.#last = own.catch(() => {})
        return own
      }
      override link(existing: string, name: string) {
        return this.#inTurn(() => super.link(existing, name))
      }
      override unlink(name: string) {
        return this.#inTurn(() => super.unlink(name))
      }
      override sync(name: string) {
        return this.#inTurn(() => super.sync(name))
      }
    })(description)
    const store = new FileStore(description, files, options, false)
    const first = randomSample(1)
    await store.put(storedName(fingerprint, segment), first.content, first.digest)
    const directory = join(root, fingerprint, segment.slice(0, 16))
    const temporary = () => readdirSync(directory).filter((file) => file.startsWith('.'))
    return { root, files, store, first, directory, temporary }
  }
  const next = `${segment.slice(0, 23)}9`

  test('and written to only once it is known to be the right one', async () => {
    const { files, store, directory, temporary } = await open('opened')
    const { content, digest } = randomSample(2)
    let sizes: number[] = []
    files.slowly = async () => {
      await expect.poll(temporary).toHaveLength(1)
      await sleep(100) // time enough for what must not happen
      sizes = temporary().map((file) => statSync(join(directory, file)).size)
      files.slowly = async () => {}
    }
    const sample = { ...digest, walName: next }
    await store.put(storedName(fingerprint, next), content, sample)
    expect(sizes).toEqual([0])
  })

  test('a path whose disk is gone gets nothing, and keeps nothing', async () => {
    const { root, store, directory, temporary } = await open('unmounted')
    rmSync(join(root, 'pgarch-path'))
    const { content, digest } = randomSample(2)
    const put = store.put(storedName(fingerprint, next), content, { ...digest, walName: next })
    await expect(put).rejects.toMatchObject({ failure: 'unusable' })
    expect(readdirSync(directory)).toEqual([`${segment}.zst`])
    expect(temporary()).toEqual([])
  })

  test('what is there already is found, and nothing is left beside it', async () => {
    const { store, first, temporary } = await open('taken')
    const name = storedName(fingerprint, segment)
    const again = await store.put(name, first.content, first.digest)
    expect(again.outcome).toBe('already-stored')
    const other = randomSample(3)
    await expect(store.put(name, other.content, other.digest)).rejects.toMatchObject({
      failure: 'conflict',
    })
    expect(temporary()).toEqual([])
  })
})

/** The same access to files; what changes something is noted. */
function recorded(files: FileAccess, steps: string[]): FileAccess {
  let unanswered = 0
  return new Proxy(files, {
    get(target, method: keyof FileAccess) {
      const member = target[method]
      if (typeof member !== 'function') return member
      const call = member.bind(target) as (...all: unknown[]) => unknown
      if (!['create', 'makeDirectory', 'link', 'unlink', 'sync'].includes(method)) return call
      return async (...all: unknown[]) => {
        const words = [method, ...all.filter((one) => typeof one === 'string')]
        steps.push(
          [...words, ...(unanswered > 0 && !files.keepsOrder ? ['too early'] : [])].join(' '),
        )
        if (method === 'sync') return await call(...all) // of several directories at once
        unanswered++
        try {
          return await call(...all)
        } finally {
          unanswered--
        }
      }
    },
  })
}
