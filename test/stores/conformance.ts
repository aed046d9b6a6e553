import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { type Bed, openClaimed, withoutPrivilege } from './bed.ts'
import { type Bench, layOn } from './bench.ts'
import { absence } from './conformance/absence.ts'
import { appending } from './conformance/append.ts'
import { damage } from './conformance/damage.ts'
import { disk } from './conformance/disk.ts'
import { inspection } from './conformance/inspection.ts'
import { nameTaken } from './conformance/name-taken.ts'
import { reserve } from './conformance/reserve.ts'
import { roundTrip } from './conformance/round-trip.ts'
import { settingAside } from './conformance/set-aside.ts'
import { unfinishedUpload } from './conformance/unfinished-upload.ts'
import { upkeep } from './conformance/upkeep.ts'

/**
 * What every store promises. `setUp` is given a folder for whatever it starts; the paths of the tests
 * lie in it too.
 */
export function describeStore(
  kind: string,
  setUp: (folder: string) => Promise<{ bed: Bed; tearDown(): Promise<void> }>,
): void {
  describe(`${kind} store`, () => {
    const folder = temporaryFolder(`store-${kind}`)
    const on = {} as Bench
    let started: Awaited<ReturnType<typeof setUp>> | undefined
    let count = 0

    beforeAll(async () => {
      started = await setUp(folder.path)
    })
    afterAll(async () => {
      await started?.tearDown()
      await folder.remove()
    })
    beforeEach(async () => {
      const { bed } = started as NonNullable<typeof started>
      const rootPath = makeFolder(folder.path, `root-${++count}`)
      const destination = join(folder.path, `fetched-${count}`)
      const store = await withoutPrivilege(() => openClaimed(bed, rootPath))
      layOn(on, { folder: folder.path, bed, rootPath, destination, store })
    })
    afterEach(async () => {
      await on.store.close()
    })

    roundTrip(on)
    nameTaken(on)
    unfinishedUpload(on)
    absence(on)
    damage(on)
    upkeep(on)
    appending(on)
    settingAside(on)
    inspection(on)
    disk(on)
    reserve(on)
  })
}
