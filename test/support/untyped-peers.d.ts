// Peers under an alias, or of a version, that comes without types.

declare module 'multer1' {
  import multer from 'multer'

  export default multer
}
