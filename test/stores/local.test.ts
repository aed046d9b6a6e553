import { options } from './bed.ts'
import { describeStore } from './conformance.ts'

describeStore('local', async () => ({
  bed: {
    path: { kind: 'local', sshHost: null, sshPort: null, sshUser: null, hostKey: null },
    options,
  },
  tearDown: async () => {},
}))
