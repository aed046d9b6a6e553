import { startSshd } from '../support/sshd.ts'
import { options } from './bed.ts'
import { describeStore } from './conformance.ts'

describeStore('sftp', async (folder) => {
  const { host, port, user, hostKey, identity, stop } = await startSshd({ folder })
  return {
    bed: {
      path: { kind: 'sftp', sshHost: host, sshPort: port, sshUser: user, hostKey },
      options: { ...options, identity },
    },
    tearDown: stop,
  }
})
