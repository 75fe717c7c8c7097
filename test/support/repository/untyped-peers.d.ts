// Peers installed under an alias, or in a version, without types.

declare module 'multer1' {
  import multer from 'multer'

  export default multer
}
